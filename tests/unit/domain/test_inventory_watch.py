"""Alerts of stock: once a crossing, with hysteresis, the same for the same log."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from domain.events import Alert, StockEntry
from domain.inventory.watch import DISAGREES, LOW, NEGATIVE, RUNS_OUT, Watched, watch
from tests.unit.domain.inventory import DAY, HOUR, START, entry, levels


def told(log: Sequence[StockEntry]) -> list[Alert]:
    open_: Watched = {}
    found: list[Alert] = []
    for level in levels(log):
        open_, alerts = watch(level, open_)
        found += alerts
    return found


def words(log: Sequence[StockEntry], *kinds: str) -> list[tuple[str, str]]:
    return [(one.kind, one.state) for one in told(log) if not kinds or one.kind in kinds]


def sales(*units: int, start: int = 0) -> list[StockEntry]:
    return [
        entry("sale", one, START + (start + place) * HOUR, entry_id=f"s{start + place}")
        for place, one in enumerate(units)
    ]


def test_below_a_hundred_is_told_once_until_it_is_well_above() -> None:
    log = [
        entry("count", 105),
        *sales(5, 1, 3),
        entry("correction", 12, entry_id="to 108"),
        *sales(20, start=3),
        entry("delivery", 22, entry_id="to 110"),
        *sales(11, start=5),
    ]
    assert words(log, LOW) == [(LOW, "open"), (LOW, "cleared"), (LOW, "open")]
    one, two, three = (alert for alert in told(log) if alert.kind == LOW)
    assert one.alert_id == two.alert_id == "stock/a/LOW_STOCK/0-2"
    assert three.alert_id == "stock/a/LOW_STOCK/0-7"
    assert one.message == "a: 99 in stock, below 100"
    assert two.opened_at == one.opened_at == START + HOUR


def test_an_items_own_threshold_counts_from_where_it_was_set() -> None:
    log = [entry("count", 105), entry("terms", threshold=110.0), entry("terms", threshold=10.0)]
    assert words(log, LOW) == [(LOW, "open"), (LOW, "cleared")]
    assert words([*log, entry("terms", threshold=0.0), entry("sale", 105)], LOW) == words(log, LOW)


def test_what_ends_before_a_delivery_can_come_is_told_and_clears_on_restock() -> None:
    steady = [entry("sale", 10, START + day * DAY, entry_id=f"day {day}") for day in range(29)]
    log = [entry("count", 1000, START), *steady]  # 710 are left, ten a day: 71 days
    assert words(log, RUNS_OUT) == []
    long = entry("terms", at=START + 28 * DAY, lead_days=72.0)
    restock = entry("delivery", 500, START + 28 * DAY)
    assert words([*log, long], RUNS_OUT) == [(RUNS_OUT, "open")]
    assert words([*log, long, restock], RUNS_OUT) == [(RUNS_OUT, "open"), (RUNS_OUT, "cleared")]
    (alert,) = (one for one in told([*log, long]) if one.kind == RUNS_OUT)
    assert "a delivery takes 72" in alert.message


def test_more_sold_than_there_was_is_told_as_such() -> None:
    log = [entry("count", 1), *sales(1, 1, 1), entry("count", 0, START + 5 * HOUR)]
    assert words(log, NEGATIVE) == [(NEGATIVE, "open"), (NEGATIVE, "cleared")]
    assert [one.severity for one in told(log) if one.kind == NEGATIVE] == ["critical"] * 2


def test_a_count_far_from_the_book_is_told_of_as_a_moment() -> None:
    log = [entry("count", 500), entry("count", 490, entry_id="b"), entry("count", 300)]
    (alert,) = (one for one in told(log) if one.kind == DISAGREES)
    assert (alert.state, alert.details["difference"]) == ("cleared", "-190")
    assert "300 were counted where the book had 490" in alert.message


def test_items_without_a_book_and_late_entries_tell_nothing() -> None:
    assert told(sales(5, 5)) == []
    late = entry("delivery", 7, START - 60 * DAY)
    log = [entry("count", 50), late]
    assert words(log, LOW) == [(LOW, "open")]


def test_an_entry_dated_before_what_opened_does_not_hide_that_it_cleared() -> None:
    log = [entry("count", 90, START), entry("delivery", 100, START - DAY)]
    one, two = (alert for alert in told(log) if alert.kind == LOW)
    assert (one.state, two.state) == ("open", "cleared")
    assert two.event_time >= one.event_time


@given(
    st.lists(
        st.tuples(st.sampled_from(("sale", "delivery", "count")), st.integers(0, 150)),
        max_size=30,
    )
)
def test_alerts_open_and_clear_in_turns_and_are_those_of_a_literal_reading(
    steps: list[tuple[str, int]],
) -> None:
    log = [
        entry(kind, units, START + place * HOUR, entry_id=str(place))
        for place, (kind, units) in enumerate(steps)
    ]
    expected, level, low = [], None, False
    for kind, units in steps:
        if kind == "count" or (kind == "delivery" and level is None):
            level = units
        elif level is not None:
            level += units if kind == "delivery" else -units
        if level is None:
            continue
        if level < 100 and not low:
            expected.append((LOW, "open"))
            low = True
        if low and level >= 110:
            expected.append((LOW, "cleared"))
            low = False
    assert words(log, LOW) == expected
    alerts = told(log)
    states: dict[str, list[str]] = {}
    for one in alerts:
        if one.kind != DISAGREES:
            states.setdefault(one.alert_id, []).append(one.state)
    assert all(one in (["open"], ["open", "cleared"]) for one in states.values())
