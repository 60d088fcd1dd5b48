"""What the consumer of the shop's windows remembers: the same however often it begins again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shop.bands import Hour
from serving.business import memory
from serving.business.memory import Closed, Corrections, Hours, Key, remembered
from tests.unit.serving.test_business import DAY, HOUR, MINUTE, window

LENGTHS = (MINUTE, 5 * MINUTE)
STEP = st.tuples(st.sampled_from(LENGTHS), st.integers(0, 12), st.integers(1, 6))


def records(steps: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    return [
        window(place * MINUTE // length * length, 0, window_ms=length, events=events).record
        for length, place, events in steps
    ]


@given(st.lists(STEP, min_size=1, max_size=60), st.data())
def test_records_that_come_again_are_judged_as_they_were(
    steps: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    rows = records(steps)
    straight = Corrections()
    seen = [(straight.take(row, at), straight.of(row, at)) for at, row in enumerate(rows)]
    again = Corrections()
    for at, row in enumerate(rows):
        again.take(row, at)
    since = data.draw(st.integers(0, len(rows) - 1))
    for at in range(since, len(rows)):
        closed, (revision, shown) = again.take(rows[at], at), again.of(rows[at], at)
        assert closed == seen[at][0]
        assert revision == seen[at][1][0]
        assert (shown is None) == (seen[at][1][1] is None)


@given(st.lists(STEP, min_size=1, max_size=60))
def test_a_correction_is_a_fuller_version_after_a_minute_beyond_its_end(
    steps: list[tuple[int, int, int]],
) -> None:
    """Against a literal reading of the rule, for each record, from all before it."""
    rows, found = records(steps), Corrections()
    for at, row in enumerate(rows):
        found.take(row, at)
    for at, row in enumerate(rows):
        assert found.of(row, at)[0] == _revisions(rows[: at + 1])


def _revisions(rows: list[dict[str, Any]]) -> int:
    """Count the corrections of the last row's window."""
    key = (rows[-1]["window_ms"], rows[-1]["window_start"])
    end, most, closed, count = sum(key), -1, False, 0
    for row in rows:
        if (row["window_ms"], row["window_start"]) == key and row["events"] > most:
            count += closed
            most = row["events"]
        if row["window_ms"] == MINUTE and most >= 0 and row["window_start"] >= end + MINUTE:
            closed = True
    return count


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "OPEN", 3)
    monkeypatch.setattr(memory, "WINDOWS", 5)
    found = Corrections()
    for place in range(9):
        found.take(window(place * 3 * DAY, 0).record, place)
    assert len(found._told) == 5
    assert len(found._open) == len(found._ends) == 3
    closed = found.take(window(8 * 3 * DAY + 2 * MINUTE, 0).record, 9)
    assert [one.key.start for one in closed] == [8 * 3 * DAY]


def test_an_hour_that_closed_before_is_not_compared_again() -> None:
    hours = Hours()
    row = window(0, 0, window_ms=HOUR).record
    ((first, _),) = hours.compare(Closed(Key(HOUR, 0), row), 5)
    assert first.hour == Hour(0, 2, 3050, 8, 2)
    assert hours.compare(Closed(Key(HOUR, 0), row), 9) == []
    assert hours.compare(Closed(Key(HOUR, 0), row), 5) == [(first, ())]
    other = Hours()
    other.restore(remembered(first))
    assert other.compare(Closed(Key(HOUR, 0), row), 5) == [(first, ())]
