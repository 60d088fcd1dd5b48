"""Outputs agree when they are of the same events, one result each, with the same bits."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from benchmarks.agree import DisagreementError, by_transaction, compare
from benchmarks.rolling import OUT_SCHEMA

SCHEMA = fastavro.schema.load_schema(str(OUT_SCHEMA))


def result(number: int, **values: Any) -> bytes:
    """A record as it lies in the output topic: header and Avro body."""
    out = io.BytesIO()
    identity = {
        "transaction_id": f"t{number}",
        "event_time": 1_767_225_600_000 + number,
        "customer_id": "c1",
    }
    fastavro.schemaless_writer(out, SCHEMA, {**identity, "sum_1d": 0.1 + 0.2, **values})
    return b"\0\0\0\0\7" + out.getvalue()


OURS = [result(number) for number in range(3)]


@pytest.fixture
def whole() -> dict[bytes, bytes]:
    return by_transaction("ours", OURS)


def test_equal_outputs_agree_in_any_order(whole: dict[bytes, bytes]) -> None:
    assert compare(whole, "quix", reversed(OURS)) == 3


def test_another_schema_id_is_no_difference(whole: dict[bytes, bytes]) -> None:
    assert compare(whole, "quix", [b"\0\0\0\0\x09" + value[5:] for value in OURS]) == 3


def test_a_contestant_that_lacks_an_event_does_not_agree(whole: dict[bytes, bytes]) -> None:
    with pytest.raises(DisagreementError, match="quix lacks 1 of 3 events, t1 for instance"):
        compare(whole, "quix", [OURS[0], OURS[2]])


def test_a_contestant_with_an_event_of_its_own_does_not_agree(whole: dict[bytes, bytes]) -> None:
    with pytest.raises(DisagreementError, match="only quix has a result of t9"):
        compare(whole, "quix", [*OURS, result(9)])


def test_one_event_twice_in_place_of_another_does_not_agree(whole: dict[bytes, bytes]) -> None:
    with pytest.raises(DisagreementError, match="quix has two results of t0"):
        compare(whole, "quix", [OURS[0], OURS[0], OURS[2]])


def test_one_event_twice_is_an_error_of_the_first_contestant_too() -> None:
    with pytest.raises(DisagreementError, match="ours has two results of t1"):
        by_transaction("ours", [*OURS, OURS[1]])


@pytest.mark.parametrize(
    "other", [{"sum_1d": 0.3}, {"sum_1d": None}, {"count_1d": 1}, {"max_1d": -0.0}]
)
def test_a_value_that_differs_in_one_bit_is_shown(
    whole: dict[bytes, bytes], other: dict[str, Any]
) -> None:
    with pytest.raises(DisagreementError, match=r"t1:\n(?s:.*)quix: "):
        compare(
            {**whole, b"t1": result(1, max_1d=0.0)[5:]},
            "quix",
            [OURS[0], result(1, **{"max_1d": 0.0, **other})],
        )
