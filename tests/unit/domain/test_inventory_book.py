"""The book of an item's stock: worked out by hand, and by literal computations."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from domain.events import StockEntry
from tests.unit.domain.inventory import DAY, HOUR, START, entry, levels


def told(*entries: StockEntry) -> list[float | None]:
    return [row["level"] for row in levels(entries)]


def test_a_level_is_known_from_the_first_delivery_or_count_on() -> None:
    assert told(
        entry("sale", 2, entry_id="1"),
        entry("correction", 7),
        entry("delivery", 10),
        entry("sale", 3, entry_id="2"),
        entry("delivery", 20),
    ) == [None, None, 10, 7, 27]
    assert told(entry("sale", 2), entry("count", 5), entry("delivery", 1)) == [None, 5, 6]


def test_a_count_replaces_the_level_and_says_what_the_book_had() -> None:
    rows = levels(
        [
            entry("count", 50),
            entry("sale", 4),
            entry("count", 43, entry_id="second"),
            entry("correction", -1),
        ]
    )
    assert [row["level"] for row in rows] == [50, 46, 43, 42]
    assert [row["expected"] for row in rows] == [None, None, 46, None]


def test_more_can_be_sold_than_the_book_has() -> None:
    sold = entry("sale", 5), entry("cancellation", 1), entry("delivery", 6, entry_id="b")
    assert told(entry("delivery", 2), *sold) == [2, -3, -2, 4]


def test_a_repeated_entry_changes_nothing_and_an_ancient_one_is_told_of() -> None:
    sale = entry("sale", 1, START + 40 * DAY)
    rows = levels([entry("delivery", 9, START + 40 * DAY), sale, sale, entry("sale", 2, START)])
    assert [row["level"] for row in rows] == [9, 8, 8]
    assert [row["late"] for row in rows] == [False, False, True]
    assert [row["late_units"] for row in rows] == [0, 0, -2]


def test_terms_hold_until_they_are_replaced() -> None:
    rows = levels(
        [
            entry("terms", threshold=20.0, lead_days=3.0),
            entry("sale", 1, price=4.5),
            entry("terms", threshold=-1.0, price=5.0),
            entry("sale", 2),
        ]
    )
    assert [row["threshold_now"] for row in rows] == [20, 20, -1, -1]
    assert [row["lead_days_now"] for row in rows] == [3, 3, 3, 3]
    assert [row["price_now"] for row in rows] == [None, 4.5, 5.0, 5.0]


KINDS = ("sale", "sale", "sale", "delivery", "correction", "cancellation", "count", "terms")


@st.composite
def logs(draw: st.DrawFn) -> list[StockEntry]:
    """A log in any order of event times within the windows, with repetitions."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(KINDS),
                st.integers(0, 30),
                st.integers(0, 26 * DAY),
            ),
            min_size=1,
            max_size=25,
        )
    )
    made = [
        entry(kind, quantity - (15 if kind == "correction" else 0), START + at, entry_id=str(place))
        for place, (kind, quantity, at) in enumerate(steps)
    ]
    again = draw(st.lists(st.sampled_from(made), max_size=5))
    for one in again:
        made.insert(draw(st.integers(made.index(one) + 1, len(made))), one)
    return made


def once(log: list[StockEntry]) -> list[StockEntry]:
    return list({one.entry_id: one for one in log}.values())


@given(logs())
def test_levels_are_what_a_person_with_a_pencil_gets(log: list[StockEntry]) -> None:
    level, expected = None, []
    for one in once(log):
        if one.kind == "count" or (one.kind == "delivery" and level is None):
            level = one.quantity
        elif level is not None:
            change = {"sale": -one.quantity, "terms": 0}.get(one.kind, one.quantity)
            level += change
        expected.append(level)
    assert told(*log) == expected


@given(logs(), st.integers(0, 1000))
def test_in_which_order_entries_came_since_the_last_count_does_not_matter_in_the_end(
    log: list[StockEntry], seed: int
) -> None:
    counted = entry("count", 100, START + 26 * DAY, entry_id="counted")
    rest = [one for one in once(log) if one.kind != "count"]
    other = random.Random(seed).sample(rest, len(rest))
    one, two = levels([counted, *rest])[-1], levels([counted, *other])[-1]
    assert one["level"] == two["level"]
    assert one["late_units"] == two["late_units"] == 0


@given(logs())
def test_demand_is_what_was_sold_in_the_tiles_of_its_window_before(log: list[StockEntry]) -> None:
    """In order of time nothing is missed; the last sale is what movements after it know."""
    log = sorted(once(log), key=lambda one: one.event_time)
    rows, traded = levels(log), [one for one in log if one.kind in ("sale", "cancellation")]
    for row, one in zip(rows, log, strict=True):
        seen = traded[: sum(other in traded for other in log[: log.index(one) + 1])]
        at = seen[-1].event_time if seen else None
        assert row["demand_at"] == at
        for name, tile, tiles in (("1h", HOUR // 12, 12), ("24h", HOUR, 24), ("7d", 6 * HOUR, 28)):
            units = sum(
                -other.quantity if other.kind == "cancellation" else other.quantity
                for other in seen
                if at is not None and other.event_time // tile > at // tile - tiles
            )
            assert row[f"demand_{name}"] == (units if seen else None)
