"""Heads of records, beside what fastavro reads of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import schema
from ingestion.wire.encode import RecordEncoder
from ingestion.wire.heads import HeadReader

SESSION = schema.load("Session")
PREFIX = b"\x00\x00\x00\x01\x2c"
ENCODER = RecordEncoder(SESSION, PREFIX)
TIMES = st.integers(0, 4_000_000_000_000)
sessions = st.fixed_dictionaries(
    {
        "session_id": st.text(min_size=1, max_size=200),
        "user_id": st.text(min_size=1, max_size=70),
        "event_id": st.text(min_size=1, max_size=10),
        "event_time": TIMES,
        "started": TIMES,
        "clicks": st.integers(0, 2**31 - 1),
        "items": st.lists(st.text(max_size=5), max_size=3),
    }
)


@pytest.fixture(scope="module")
def reader() -> HeadReader:
    return HeadReader(SESSION, PREFIX, "session_id", "clicks")


@pytest.mark.slow
@given(st.lists(sessions, max_size=8))
def test_heads_are_the_fields_of_the_records(reader: HeadReader, records: list[Any]) -> None:
    values = [ENCODER.record({"actions": [], **one}) for one in records]
    found = reader.read(values)
    assert found.texts == [one["session_id"].encode() for one in records]
    assert found.numbers == [one["clicks"] for one in records]


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 60))
def test_what_is_broken_has_no_head_and_spoils_no_other(
    reader: HeadReader, broken: list[bytes], cut: int
) -> None:
    record = {"session_id": "s", "user_id": "u" * 50, "event_id": "e", "event_time": 1}
    good = ENCODER.record({**record, "started": 1, "clicks": 300, "items": [], "actions": []})
    values = [*broken, good[:cut], *(PREFIX + one for one in broken), good]
    found = reader.read(values)
    assert len(found.texts) == len(found.numbers) == len(values)
    assert (found.texts[-1], found.numbers[-1]) == (b"s", 300)
    assert found.texts[len(broken)] == b""


def test_a_number_of_more_bytes_than_any_has() -> None:
    made = HeadReader(SESSION, PREFIX, "session_id", "clicks")
    assert made.read([PREFIX + b"\xff" * 12]).texts == [b""]


def test_fields_that_are_not_at_the_head() -> None:
    with pytest.raises(ValueError, match="not at the head of Session"):
        HeadReader(SESSION, PREFIX, "session_id", "late")
