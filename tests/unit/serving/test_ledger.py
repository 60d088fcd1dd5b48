from __future__ import annotations

from serving.consumers.ledger import Ledger


def test_nothing_before_the_batch_is_done() -> None:
    ledger = Ledger()
    entry = ledger.open({0: 5})
    assert ledger.committable() == {}
    entry.done_at = 1.0
    assert ledger.committable() == {0: 5}
    assert ledger.committable() == {}


def test_nothing_before_the_broker_confirmed() -> None:
    ledger = Ledger()
    entry = ledger.open({0: 5})
    entry.waiting, entry.done_at = 2, 1.0
    entry.confirmed()
    assert ledger.committable() == {}
    entry.confirmed()
    assert ledger.committable() == {0: 5}


def test_an_unconfirmed_batch_holds_back_those_after_it() -> None:
    ledger = Ledger()
    first, second = ledger.open({0: 5, 1: 3}), ledger.open({0: 9})
    first.waiting = 1
    first.done_at = second.done_at = 1.0
    assert ledger.committable() == {}
    first.confirmed()
    assert ledger.committable() == {0: 9, 1: 3}


def test_partitions_that_left_are_not_committed() -> None:
    ledger = Ledger()
    entry = ledger.open({0: 5, 1: 3})
    entry.done_at = 1.0
    ledger.forget({0})
    assert ledger.committable() == {1: 3}


def test_nothing_that_was_done_lately() -> None:
    ledger = Ledger()
    ledger.open({0: 5}).done_at = 10.0
    ledger.open({0: 9}).done_at = 12.0
    assert ledger.committable(until=9.9) == {}
    assert ledger.committable(until=10.0) == {0: 5}
    assert ledger.committable(until=11.9) == {}
    assert ledger.committable(until=12.0) == {0: 9}
