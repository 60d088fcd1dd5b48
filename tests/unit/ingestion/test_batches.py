"""Payments and verdicts in batches: who comes before whom, and where a batch ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice

import pytest

from domain.events import FraudLabel, Transaction
from domain.fraud.order import log_order
from ingestion import schema
from ingestion.fraud.batches import TRANSACTIONS, FraudEncoders, PaymentBatches
from ingestion.fraud.simulator import DAY_MS, WEEK_MS, Payment, simulation
from ingestion.replay.batches import Batch, Rejected
from ingestion.wire.codec import Codec
from ingestion.wire.encode import LATEST_MS, RecordEncoder
from tests.unit.ingestion.registries import FakeRegistry

ENCODERS = FraudEncoders(
    RecordEncoder(schema.load("Transaction")), RecordEncoder(schema.load("FraudLabel"))
)


@pytest.fixture
def codec() -> Codec:
    return Codec(FakeRegistry().client())


def decoded(codec: Codec, batches: Iterable[Batch]) -> list[list[Transaction | FraudLabel]]:
    kinds: dict[str, Callable[..., Transaction | FraudLabel]] = {
        "Transaction": Transaction,
        "FraudLabel": FraudLabel,
    }
    found = []
    for batch in batches:
        read = [codec.decoded(record.topic, record.value) for record in batch.records]
        found.append([kinds[one.name](**one.record) for one in read])
    return found


def encoders(codec: Codec) -> FraudEncoders:
    return FraudEncoders.of(codec)


def payment(number: int, time: int, amount: float = 1.0, scenario: int = 0) -> Payment:
    return Payment(
        Transaction(
            transaction_id=f"t{number}",
            event_time=time,
            customer_id="c",
            terminal_id="m",
            amount=amount,
        ),
        scenario,
    )


def test_each_verdict_stands_where_it_becomes_known(codec: Codec) -> None:
    payments = list(islice(simulation(1, customers=40, terminals=80, radius=30), 2000))

    batches = decoded(codec, PaymentBatches(encoders(codec), WEEK_MS).of(payments))

    sent = [event for batch in batches for event in batch]
    assert [event for event in sent if isinstance(event, Transaction)] == [
        one.transaction for one in payments
    ]
    times = [event.event_time for event in sent]
    assert times == sorted(times)
    last = payments[-1].transaction.event_time
    known = [one.label(WEEK_MS) for one in payments if one.transaction.event_time + WEEK_MS <= last]
    assert [event for event in sent if isinstance(event, FraudLabel)] == known
    assert len(known) > 500
    for batch in batches:
        days = {event.event_time // DAY_MS for event in batch if isinstance(event, Transaction)}
        assert len(days) == 1, "batches end with the day of the payments"


def test_a_replay_sends_in_the_order_that_training_computes_in(codec: Codec) -> None:
    payments = list(islice(simulation(2, customers=40, terminals=80, radius=30), 1500))

    batches = decoded(codec, PaymentBatches(encoders(codec), DAY_MS).of(payments))

    merged = log_order(
        [one.transaction for one in payments], [one.label(DAY_MS) for one in payments]
    )
    sent = [event for batch in batches for event in batch]
    *computed, last = islice(merged, len(sent))
    assert sent == [*computed, last]
    assert last == payments[-1].transaction
    assert all(isinstance(event, FraudLabel) for event in merged), "nobody could use the rest"


def test_at_the_same_moment_the_verdict_comes_first(codec: Codec) -> None:
    payments = [payment(0, 0), payment(1, 1000), payment(2, 1000)]

    (batch,) = decoded(codec, PaymentBatches(encoders(codec), 1000).of(payments))

    kinds = [(type(event).__name__, event.transaction_id) for event in batch]
    assert kinds == [
        ("Transaction", "t0"),
        ("FraudLabel", "t0"),
        ("Transaction", "t1"),
        ("Transaction", "t2"),
    ]


def test_a_verdict_lies_in_the_partition_of_its_payment(codec: Codec) -> None:
    payments = [payment(0, 0), payment(1, 5000)]

    (batch,) = PaymentBatches(encoders(codec), 1000).of(payments)

    assert [(one.topic, one.key, one.due, one.row) for one in batch.records] == [
        (TRANSACTIONS, "c", 0, True),
        (TRANSACTIONS, "c", 1000, False),
        (TRANSACTIONS, "c", 5000, True),
    ]


def test_a_verdict_that_no_calendar_holds_is_rejected_with_its_payment() -> None:
    last = LATEST_MS - DAY_MS // 2
    payments = [payment(0, last - 2 * DAY_MS), payment(1, last), payment(2, last + 1)]

    batches = list(PaymentBatches(ENCODERS, DAY_MS).of(payments))

    assert sum(record.row for batch in batches for record in batch.records) == 1
    rejected = [row for batch in batches for row in batch.rejected]
    assert [row.row for row in rejected] == [1, 2]
    assert rejected[0].reason == f"FraudLabel.event_time: {last + DAY_MS} is out of range"


def test_a_gap_of_months_keeps_the_order(codec: Codec) -> None:
    payments = [payment(0, 0, scenario=2), payment(1, 100 * DAY_MS + 5)]

    batches = decoded(codec, PaymentBatches(encoders(codec), WEEK_MS).of(payments))

    assert [[event.transaction_id for event in batch] for batch in batches] == [
        ["t0"],
        ["t0", "t1"],
    ]
    verdict = batches[1][0]
    assert isinstance(verdict, FraudLabel)
    assert verdict.is_fraud


@pytest.mark.parametrize("delay", [0, 500, 1000])
def test_short_delays_put_the_verdict_after_its_payment(codec: Codec, delay: int) -> None:
    payments = [payment(number, number * 1000) for number in range(5)]

    (batch,) = decoded(codec, PaymentBatches(encoders(codec), delay).of(payments))

    for number in range(4):
        places = [
            place for place, event in enumerate(batch) if event.transaction_id == f"t{number}"
        ]
        first, second = (batch[place] for place in places)
        assert isinstance(first, Transaction)
        assert isinstance(second, FraudLabel)


def test_payments_out_of_order_stay_as_they_come(codec: Codec) -> None:
    times = [2 * DAY_MS, DAY_MS, 2 * DAY_MS + 1, 3 * DAY_MS, 5]
    payments = [payment(number, time) for number, time in enumerate(times)]

    batches = decoded(codec, PaymentBatches(encoders(codec), labels=False).of(payments))

    assert [[event.event_time for event in batch] for batch in batches] == [times[:3], times[3:]]


def test_without_labels_there_are_none() -> None:
    batches = list(PaymentBatches(ENCODERS, 0, labels=False).of([payment(0, 0), payment(1, 10)]))

    assert [record.topic for record in batches[0].records] == [TRANSACTIONS] * 2


def test_rows_that_can_not_be_encoded_are_kept_aside_and_have_no_verdict() -> None:
    rows: list[Payment | Rejected] = [
        payment(0, 0),
        payment(1, 1, amount=math.nan),
        Rejected(2, "unreadable", "x"),
        payment(3, 3 * DAY_MS),
    ]

    first, second = PaymentBatches(ENCODERS, DAY_MS).of(rows)

    assert [one.row for one in first.rejected] == [1, 2]
    assert "amount: nan is not finite" in first.rejected[0].reason
    assert [record.row for record in first.records] == [True]
    assert [record.row for record in second.records] == [False, True]
    assert (first.rows, second.rows) == (3, 4)


def test_the_limit_counts_rows() -> None:
    rows: list[Payment | Rejected] = [payment(0, 0), Rejected(1, "unreadable", "x"), payment(2, 2)]

    (batch,) = PaymentBatches(ENCODERS).of(rows, limit=2)

    assert batch.rows == 2
    assert len(batch.records) == len(batch.rejected) == 1


def test_only_rejected_rows_still_make_a_batch() -> None:
    (batch,) = PaymentBatches(ENCODERS).of([Rejected(0, "unreadable", "x")])

    assert (batch.rows, len(batch.rejected), batch.records) == (1, 1, [])
