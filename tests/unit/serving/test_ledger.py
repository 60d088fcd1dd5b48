from __future__ import annotations

from serving.consumers.ledger import Ledger


def test_nothing_before_the_batch_is_done() -> None:
    ledger = Ledger()
    entry = ledger.open({0: 5})
    assert ledger.committable() == {}
    entry.done = True
    assert ledger.committable() == {0: 5}
    assert ledger.committable() == {}


def test_nothing_before_the_broker_confirmed() -> None:
    ledger = Ledger()
    entry = ledger.open({0: 5})
    entry.waiting, entry.done = 2, True
    entry.confirmed()
    assert ledger.committable() == {}
    entry.confirmed()
    assert ledger.committable() == {0: 5}


def test_an_unconfirmed_batch_holds_back_those_after_it() -> None:
    ledger = Ledger()
    first, second = ledger.open({0: 5, 1: 3}), ledger.open({0: 9})
    first.waiting = 1
    first.done = second.done = True
    assert ledger.committable() == {}
    first.confirmed()
    assert ledger.committable() == {0: 9, 1: 3}


def test_partitions_that_left_are_not_committed() -> None:
    ledger = Ledger()
    entry = ledger.open({0: 5, 1: 3})
    entry.done = True
    ledger.forget({0})
    assert ledger.committable() == {1: 3}
