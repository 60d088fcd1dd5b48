from __future__ import annotations

from serving.consumers.ledger import Ledger

A, B = ("a", 0), ("b", 0)


def test_nothing_before_the_batch_is_done() -> None:
    ledger = Ledger()
    entry = ledger.open({A: 5})
    assert ledger.committable() == {}
    entry.done_at = 1.0
    assert ledger.committable() == {A: 5}
    assert ledger.committable() == {}


def test_nothing_before_the_broker_confirmed() -> None:
    ledger = Ledger()
    entry = ledger.open({A: 5})
    entry.waiting, entry.done_at = 2, 1.0
    entry.confirmed()
    assert ledger.committable() == {}
    entry.confirmed()
    assert ledger.committable() == {A: 5}


def test_an_unconfirmed_batch_holds_back_those_after_it() -> None:
    ledger = Ledger()
    first, second = ledger.open({A: 5, B: 3}), ledger.open({A: 9})
    first.waiting = 1
    first.done_at = second.done_at = 1.0
    assert ledger.committable() == {}
    first.confirmed()
    assert ledger.committable() == {A: 9, B: 3}


def test_partitions_that_left_are_not_committed() -> None:
    ledger = Ledger()
    entry = ledger.open({A: 5, B: 3})
    entry.done_at = 1.0
    ledger.forget({A})
    assert ledger.committable() == {B: 3}


def test_nothing_that_was_done_lately() -> None:
    ledger = Ledger()
    ledger.open({A: 5}).done_at = 10.0
    ledger.open({A: 9}).done_at = 12.0
    assert ledger.committable(until=9.9) == {}
    assert ledger.committable(until=10.0) == {A: 5}
    assert ledger.committable(until=11.9) == {}
    assert ledger.committable(until=12.0) == {A: 9}


def test_where_ticks_deliver_nothing_before_one_is_settled() -> None:
    ledger = Ledger(ticking=True)
    ledger.open({A: 5}).done_at = 1.0
    ledger.open({A: 6, B: 3}).done_at = 2.0
    assert ledger.committable() == {}
    tick, after = ledger.open({}, tick=True), ledger.open({A: 7})
    tick.waiting, tick.done_at, after.done_at = 1, 3.0, 4.0
    assert ledger.committable() == {}
    ledger.forget({B})
    tick.confirmed()
    assert ledger.committable() == {A: 6}
    ledger.open({}, tick=True).done_at = 5.0
    assert ledger.committable() == {A: 7}
