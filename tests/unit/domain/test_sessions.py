"""The specification of sessions, held by a literal computation over all clicks and by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import Session, ShopEvent
from domain.shop.sessions import SESSIONS, Sessionization, Sessions

GAP = 10
SMALL = Sessionization(gap_ms=GAP, horizon_ms=60, items=3, text_bytes=30)
ENDLESS = Sessionization(gap_ms=GAP, horizon_ms=10**9, items=10**6, text_bytes=10**9)
MINUTE = 60_000


def click(event_id: str, time: int, item: str = "i", action: str = "view") -> ShopEvent:
    return ShopEvent(
        event_id=event_id, event_type=action, event_time=time, user_id="v", item_id=item
    )


def answers(clicks: Iterable[ShopEvent], declared: Sessionization = SMALL) -> list[list[Session]]:
    sessions = Sessions(declared)
    return [sessions.click(one) for one in clicks]


def newest_versions(records: Iterable[Session]) -> dict[str, Session]:
    """What a reader has who follows the contract: of each id the record with the most clicks."""
    best: dict[str, Session] = {}
    for record in records:
        if record.session_id not in best or record.clicks > best[record.session_id].clicks:
            best[record.session_id] = record
    return {name: record for name, record in best.items() if record.items}


@st.composite
def streams(draw: st.DrawFn, most: int = 40) -> list[ShopEvent]:
    """Clicks around the gap, out of order, some of the same time, some of them again."""
    made: list[ShopEvent] = []
    now = 0
    for number in range(draw(st.integers(1, most))):
        if made and draw(st.integers(0, 7)) == 0:
            made.append(draw(st.sampled_from(made)))
            continue
        now += draw(st.sampled_from((0, 1, 3, GAP, GAP + 1, 2 * GAP + 1)))
        back = draw(st.sampled_from((0, 0, 0, 1, GAP, 25, 60, 75)))
        item = draw(st.sampled_from(("a", "bb", "é", "long item id")))
        action = draw(st.sampled_from(("view", "addtocart", "other")))
        made.append(click(f"e{number}", now - back, item, action))
    return made


class Literal:
    """All that was counted, kept for ever, and looked at anew for each click."""

    def __init__(self, declared: Sessionization) -> None:
        self.declared = declared
        self.counted: list[ShopEvent] = []
        self.names: dict[frozenset[str], str] = {}

    def runs(self, clicks: Sequence[ShopEvent]) -> list[list[ShopEvent]]:
        """Cut the clicks wherever more than the gap lies between two."""
        ordered = sorted(clicks, key=lambda one: one.event_time)
        cuts = [
            place
            for place, (one, other) in enumerate(pairwise(ordered), 1)
            if other.event_time - one.event_time > self.declared.gap_ms
        ]
        return [
            ordered[first:last]
            for first, last in zip([0, *cuts], [*cuts, len(ordered)], strict=True)
        ]

    def kept(self, run: Sequence[ShopEvent]) -> list[ShopEvent]:
        for first in range(max(0, len(run) - self.declared.items), len(run)):
            text = "".join(one.item_id + one.event_type for one in run[first:])
            if len(text.encode()) <= self.declared.text_bytes:
                return list(run[first:])
        return []

    def fate(self, new: ShopEvent) -> str:
        newest = max((one.event_time for one in self.counted), default=new.event_time)
        if new.event_time < newest - self.declared.horizon_ms:
            return "late"
        for run in self.runs(self.counted) if self.counted else []:
            kept = self.kept(run)
            if any(
                (one.event_id, one.event_time) == (new.event_id, new.event_time) for one in kept
            ):
                return "duplicate"
            counted_only = run[: len(run) - len(kept)]
            within = run[0].event_time <= new.event_time <= run[-1].event_time
            before = not kept or new.event_time <= kept[0].event_time
            if counted_only and within and before:
                return "late"
        return "counted"

    def told(self, new: ShopEvent) -> list[tuple[Any, ...]]:
        """Return id, times, clicks, items, actions, what it was merged into, and late."""
        fate = self.fate(new)
        time = new.event_time
        if fate != "counted":
            late = (new.event_id, time, time, 0, (), (), None, True)
            return [late] if fate == "late" else []
        before = self.runs(self.counted) if self.counted else []
        self.counted.append(new)
        (run,) = (run for run in self.runs(self.counted) if new in run)
        inside = [one for one in before if one[0] in run]
        named = [self.names[_key(one)] for one in inside]
        self.names[_key(run)] = name = named[0] if named else new.event_id
        kept = self.kept(run)
        gone = [
            (lost, one[-1].event_time, one[0].event_time, len(run), (), (), name, False)
            for lost, one in zip(named[1:], inside[1:], strict=True)
        ]
        items = tuple(one.item_id for one in kept)
        actions = tuple(one.event_type for one in kept)
        ends = run[-1].event_time, run[0].event_time
        return [*gone, (name, *ends, len(run), items, actions, None, False)]


def _key(run: Sequence[ShopEvent]) -> frozenset[str]:
    return frozenset(f"{one.event_id}/{one.event_time}" for one in run)


def _tuple(record: Session) -> tuple[Any, ...]:
    return (
        record.session_id,
        record.event_time,
        record.started,
        record.clicks,
        record.items,
        record.actions,
        record.merged_into,
        record.late,
    )


@pytest.mark.slow
@settings(max_examples=4 * settings().max_examples)
@given(streams())
def test_each_answer_is_the_literal_one(clicks: list[ShopEvent]) -> None:
    literal = Literal(SMALL)
    for one, records in zip(clicks, answers(clicks), strict=True):
        assert [_tuple(record) for record in records] == literal.told(one)
        assert all(record.event_id == one.event_id for record in records)


@given(streams(most=20), st.randoms(use_true_random=False))
def test_the_same_sessions_come_in_any_order(clicks: list[ShopEvent], chance: Any) -> None:
    """Where no two clicks share a time and none is late; only the ids follow the arrival."""
    clicks = [replace(one, event_time=2 * one.event_time) for one in clicks]
    times = [one.event_time for one in clicks]
    clicks = [one for place, one in enumerate(clicks) if one.event_time not in times[:place]]
    doubled = replace(ENDLESS, gap_ms=2 * GAP, items=4)
    shuffled = chance.sample(clicks, len(clicks))
    found = []
    for order in (clicks, shuffled):
        records = [record for answer in answers(order, doubled) for record in answer]
        if any(record.late for record in records):
            return
        last = newest_versions(records).values()
        found.append(sorted((one.started, one.event_time, one.clicks, one.items) for one in last))
    assert found[0] == found[1]


@given(streams())
def test_a_reader_who_keeps_the_most_clicks_has_every_click_once(clicks: list[ShopEvent]) -> None:
    records = [record for answer in answers(clicks, ENDLESS) for record in answer]
    have = Counter(
        (item, action)
        for record in newest_versions(records).values()
        for item, action in zip(record.items, record.actions, strict=True)
    )
    once = {(one.event_id, one.event_time): one for one in clicks}.values()
    assert have == Counter((one.item_id, one.event_type) for one in once)


@given(streams())
def test_clicks_grow_with_each_record_of_a_session(clicks: list[ShopEvent]) -> None:
    versions: dict[str, int] = {}
    for answer in answers(clicks):
        for record in answer:
            if not record.late:
                assert record.clicks > versions.get(record.session_id, 0)
                versions[record.session_id] = record.clicks


def test_a_session_ends_after_half_an_hour() -> None:
    half = 30 * MINUTE
    first, second, third = answers(
        [click("a", 0, "x"), click("b", half, "y"), click("c", 2 * half + 1, "z")], SESSIONS
    )
    assert [one.session_id for one in (*first, *second, *third)] == ["a", "a", "c"]
    assert second[0].items == ("x", "y")
    assert third[0].items == ("z",)


def test_a_click_between_two_sessions_merges_them_into_the_older() -> None:
    *_, (gone, whole) = answers([click("late", 16, "z"), click("early", 0, "x"), click("m", 8)])
    assert (gone.session_id, gone.items, gone.merged_into, gone.clicks) == ("late", (), "early", 3)
    assert (gone.started, gone.event_time) == (16, 16)
    assert (whole.session_id, whole.items, whole.merged_into) == ("early", ("x", "i", "z"), None)


def test_equal_times_stand_in_the_order_of_arrival() -> None:
    *_, (last,) = answers([click("a", 5, "x"), click("b", 5, "y"), click("c", 4, "w")])
    assert last.items == ("w", "x", "y")


def test_a_repetition_is_answered_with_nothing_however_the_items_differ() -> None:
    assert answers([click("a", 5), click("a", 5, "other")])[1] == []
    assert answers([click("a", 5), click("a", 6)])[1][0].clicks == 2, "another time, another click"


def test_of_many_clicks_the_newest_are_kept_and_all_are_counted() -> None:
    last = answers([click(f"e{at}", at, f"{at}") for at in range(7)])[-1][0]
    assert (last.clicks, last.items, last.started) == (7, ("4", "5", "6"), 0)


def test_a_text_beyond_the_bound_is_counted_and_not_kept() -> None:
    clicks = [click("a", 0, "x"), click("b", 1, "y" * 100), click("c", 2, "z")]
    assert [one[0].items for one in answers(clicks)] == [("x",), (), ("z",)]


def test_a_click_among_those_that_are_only_counted_is_late() -> None:
    """Whether it is one of them is not known, so it changes nothing."""
    clicks = [click(f"e{at}", 2 * at) for at in range(7)]
    *_, late, again, newer = answers([*clicks, click("new", 3), clicks[1], click("n", 9, "n")])
    assert [(one.late, one.clicks, one.items) for one in (*late, *again)] == [(True, 0, ())] * 2
    assert (newer[0].clicks, newer[0].items) == (8, ("n", "i", "i"))


def test_an_older_click_before_a_session_that_is_cut_leaves_no_hole_in_it() -> None:
    clicks = [click(f"e{at}", 20 + at, f"{at}") for at in range(4)]
    (last,) = answers([*clicks, click("before", 12, "b")])[-1]
    assert (last.clicks, last.items, last.started) == (5, ("1", "2", "3"), 12)


def test_beyond_the_horizon_a_click_is_late() -> None:
    on_it, beyond = answers([click("a", 100), click("b", 40), click("c", 39)])[1:]
    assert (on_it[0].session_id, on_it[0].late) == ("b", False)
    assert (beyond[0].session_id, beyond[0].late, beyond[0].clicks) == ("c", True, 0)


def test_what_is_kept_of_a_visitor_is_bounded() -> None:
    sessions = Sessions(SMALL)
    for at in count():
        sessions.click(click(f"e{at}", at * (GAP + 1)))
        if at == 1000:
            break
    (visitor,) = sessions._visitors.values()
    assert len(visitor.sessions) <= SMALL.horizon_ms // GAP + 2


def test_visitors_know_nothing_of_each_other() -> None:
    sessions = Sessions(SMALL)
    sessions.click(click("a", 1_000_000))
    (other,) = sessions.click(replace(click("b", 0), user_id="w"))
    assert (other.session_id, other.user_id, other.late) == ("b", "w", False)
