"""Payments and verdicts in batches: who comes before whom, and where a batch ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice

import pytest

from domain.events import FraudLabel, Transaction
from ingestion import schema
from ingestion.fraud.batches import LABELS, TRANSACTIONS, FraudEncoders, PaymentBatches
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
        TRANSACTIONS: Transaction,
        LABELS: FraudLabel,
    }
    return [
        [
            kinds[record.topic](**codec.decode(record.topic, record.value))
            for record in batch.records
        ]
        for batch in batches
    ]


def encoders(codec: Codec) -> FraudEncoders:
    return FraudEncoders(codec.encoder(TRANSACTIONS), codec.encoder(LABELS))


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


def test_verdicts_of_a_day_are_all_in_earlier_batches_than_its_payments(codec: Codec) -> None:
    payments = list(islice(simulation(1, customers=40, terminals=80, radius=30), 2000))

    batches = decoded(codec, PaymentBatches(encoders(codec), WEEK_MS).of(payments))

    sent = [event for batch in batches for event in batch]
    assert [event for event in sent if isinstance(event, Transaction)] == [
        one.transaction for one in payments
    ]
    batch_of = {
        ("label" if isinstance(event, FraudLabel) else "payment", event.transaction_id): number
        for number, batch in enumerate(batches)
        for event in batch
    }
    last_day = payments[-1].transaction.event_time // DAY_MS
    first_batch_of_day: dict[int, int] = {}
    for one in payments:
        number = batch_of["payment", one.transaction.transaction_id]
        first_batch_of_day.setdefault(one.transaction.event_time // DAY_MS, number)
    verdicts = 0
    for one in payments:
        known = (one.transaction.event_time + WEEK_MS) // DAY_MS
        if known <= last_day:
            verdicts += 1
            assert batch_of["label", one.transaction.transaction_id] < first_batch_of_day[known]
    assert verdicts > 500


def test_verdicts_run_no_more_than_a_day_ahead(codec: Codec) -> None:
    payments = list(islice(simulation(2, customers=40, terminals=80, radius=30), 1500))

    now = 0
    for event in (
        event
        for batch in decoded(codec, PaymentBatches(encoders(codec), WEEK_MS).of(payments))
        for event in batch
    ):
        if isinstance(event, Transaction):
            now = event.event_time
        else:
            # No payment tells the time between a day's last and the next day's first.
            assert event.event_time - now <= 2 * DAY_MS


def test_a_verdict_that_no_calendar_holds_is_rejected_with_its_payment() -> None:
    last = LATEST_MS - DAY_MS // 2
    payments = [payment(0, last - 2 * DAY_MS), payment(1, last), payment(2, last + 1)]

    batches = list(PaymentBatches(ENCODERS, DAY_MS).of(payments))

    assert sum(record.topic == TRANSACTIONS for batch in batches for record in batch.records) == 1
    rejected = [row for batch in batches for row in batch.rejected]
    assert [row.row for row in rejected] == [1, 2]
    assert rejected[0].reason == f"FraudLabel.event_time: {last + DAY_MS} is out of range"


def test_a_gap_of_months_keeps_the_order(codec: Codec) -> None:
    payments = [payment(0, 0, scenario=2), payment(1, 100 * DAY_MS + 5)]

    batches = decoded(codec, PaymentBatches(encoders(codec), WEEK_MS).of(payments))

    assert [[event.transaction_id for event in batch] for batch in batches] == [
        ["t0", "t0"],
        ["t1"],
    ]
    verdict = batches[0][1]
    assert isinstance(verdict, FraudLabel)
    assert verdict.is_fraud


@pytest.mark.parametrize("delay", [0, 1000, DAY_MS // 2])
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
    assert sum(record.topic == LABELS for record in first.records) == 1
    assert (first.rows, second.rows) == (3, 4)


def test_the_limit_counts_rows() -> None:
    rows: list[Payment | Rejected] = [payment(0, 0), Rejected(1, "unreadable", "x"), payment(2, 2)]

    (batch,) = PaymentBatches(ENCODERS).of(rows, limit=2)

    assert batch.rows == 2
    assert len(batch.records) == len(batch.rejected) == 1


def test_only_rejected_rows_still_make_a_batch() -> None:
    (batch,) = PaymentBatches(ENCODERS).of([Rejected(0, "unreadable", "x")])

    assert (batch.rows, len(batch.rejected), batch.records) == (1, 1, [])
