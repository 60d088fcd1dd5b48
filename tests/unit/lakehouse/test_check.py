"""What is missing and what is doubled, against a literal count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings
from lakehouse.check import Ahead, _before, _joined, _within, places, spans
from lakehouse.start import Range
from tests.unit.lakehouse.conftest import TABLES, Append


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 60))
def test_spans_are_the_offsets_that_are_not_there(held: set[int], begin: int, more: int) -> None:
    begin = min([begin, *held])
    end = max([begin + more, *(one + 1 for one in held)])
    found = list(spans(np.array(sorted(held), dtype=np.int64), begin, end))
    listed = [offset for first, last in found for offset in range(first, last + 1)]
    assert listed == sorted(set(range(begin, end)) - held)
    assert found == _joined(listed), "as few as there can be"


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_a_span_is_cut_at_what_kafka_has(first: int, length: int, low: int, kept: int) -> None:
    span, have = (first, first + length), Range(low, low + kept)
    offsets = set(range(first, first + length + 1))
    inside, gone = _within(span, have), _before(span, have.first)
    assert _listed(inside) == offsets & set(range(low, low + kept))
    assert _listed(gone) == {one for one in offsets if one < low}


def _listed(span: tuple[int, int] | None) -> set[int]:
    return set(range(span[0], span[1] + 1)) if span else set()


@pytest.mark.filterwarnings("ignore:Parquet writer option")
def test_places_are_counted_over_all_tables(append: Append) -> None:
    payments = append(TABLES["transactions"], [(0, 0), (0, 2), (1, 5)])
    payments = append(TABLES["transactions"], [(0, 2), (1, 6)])
    labels = append(TABLES["fraud_labels"], [(0, 1)])
    found = {
        partition: dict(zip(offsets.tolist(), times.tolist(), strict=True))
        for partition, (offsets, times) in places([payments, labels]).items()
    }
    assert found == {0: {0: 1, 1: 1, 2: 2}, 1: {5: 1, 6: 1}}


def test_what_lies_too_far_ahead_is_refused(loaded: Settings) -> None:
    ahead = Ahead.of("transactions", loaded)
    limit = 1_000 + loaded.event_ahead_ms
    assert not ahead.refuses({"event_time": limit}, 1_000)
    assert ahead.refuses({"event_time": limit + 1}, 1_000)
    assert not Ahead.of("fraud-features", loaded).refuses({}, 1_000)
