"""Kill each part under load: every transaction ends up with one score, the one an undisturbed run gives.

The undisturbed run is the specification: features by the reference engine in plain Python (`domain/`), which a property
test holds equal to the kernel bit for bit, and the same model. So this also shows that the whole path computes what is
specified.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import redis

from config.settings import Settings
from domain.events import FraudLabel, Transaction
from domain.fraud_pipeline import feature_rows
from ingestion.avro import Codec
from ingestion.producer import KafkaSink
from millrace.stack.harness import Stack
from serving.models import Model, load
from tests.integration.parts import caught_up, kill, plug, read, reborn, restarts, send, stored, until

JOB_GROUP = "millrace-fraud_features"
RATE = 250  # transactions a second
VICTIMS = ("taskmanager", "consumer-fraud", "redis", "registry", "kafka")
CALM_S = 8.0  # between two kills
DAY_MS = 86_400_000


def _stream(run: str, count: int) -> tuple[list[Transaction], list[FraudLabel]]:
    """Payments of a few hours, one a second, and the verdicts of the days before on the same terminals."""
    chance = random.Random(20260)
    start = 1_760_000_000_000
    labels = [
        FraudLabel(
            transaction_id=f"{run}-old-{place}",
            event_time=start - 6 * DAY_MS + place * (5 * DAY_MS // 400),
            customer_id=f"{run}-c{chance.randrange(50)}",
            terminal_id=f"{run}-t{chance.randrange(20)}",
            is_fraud=chance.random() < 0.3,
        )
        for place in range(400)
    ]
    payments = [
        Transaction(
            transaction_id=f"{run}-{place}",
            event_time=start + place * 1000,
            customer_id=f"{run}-c{chance.randrange(50)}",
            terminal_id=f"{run}-t{chance.randrange(20)}",
            amount=round(chance.lognormvariate(3.5, 1.2), 2),
        )
        for place in range(count)
    ]
    return payments, labels


def _expected(payments: list[Transaction], labels: list[FraudLabel], model: Model) -> dict[str, float]:
    rows = list(feature_rows(payments, labels))
    matrix = np.array([[row[name] for name in model.features] for row in rows], dtype=np.float64)
    return {row["transaction_id"]: float(score) for row, score in zip(rows, model.predict(matrix), strict=True)}


def _current(stack: Settings) -> Model:
    shelf = stack.state_dir / "models" / "fraud"
    return load(shelf / Path(shelf / "current").read_text(encoding="utf-8").strip())


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    connection = redis.Redis.from_url(stack.redis_url)
    yield connection
    connection.close()


@pytest.mark.timeout(420)
def test_every_part_may_die_under_load(stack: Settings, model: object, client: redis.Redis) -> None:
    run = f"survival-{uuid.uuid4().hex[:8]}"
    payments, labels = _stream(run, int(RATE * CALM_S * (len(VICTIMS) + 1)))
    with plug(stack) as (sink, codec):
        _disturb(stack, sink, codec, payments, labels)
        _every_score_is_the_undisturbed_one(stack, client, payments, labels)
        _published_once(stack, codec, payments)
    _replay_changes_nothing(stack, client, payments, labels)


@pytest.mark.timeout(180)
def test_redis_may_forget_what_it_answered_last(
    stack: Settings, harness: Stack, model: object, client: redis.Redis
) -> None:
    """Killed while the disk is slow, its file lacks what it answered for up to two seconds: here, for the last few."""
    run = f"forgetful-{uuid.uuid4().hex[:8]}"
    payments, _ = _stream(run, 200)
    identities = [payment.transaction_id for payment in payments]
    journal = max((stack.state_dir / "redis" / "appendonlydir").glob("*.incr.aof"))
    with plug(stack) as (sink, codec):
        send(sink, codec, payments[:100])
        sink.flush()
        until("the first are scored", lambda: len(stored(client, identities)) == 100)
        written = journal.stat().st_size
        send(sink, codec, payments[100:])
        sink.flush()
        until("all are scored", lambda: len(stored(client, identities)) == 200, pause=0.02)
    harness.stop("redis")
    os.truncate(journal, written)
    harness.up("redis")
    assert len(stored(client, identities)) < 200
    until("all are scored again", lambda: len(stored(client, identities)) == 200)


def _disturb(
    stack: Settings, sink: KafkaSink, codec: Codec, payments: list[Transaction], labels: list[FraudLabel]
) -> None:
    send(sink, codec, labels)
    sink.flush()
    until("the job has read the labels", lambda: caught_up(stack, JOB_GROUP, "transaction-labels"))
    before = restarts(stack, "fraud_features")

    def produce() -> None:
        began = time.monotonic()
        for place, payment in enumerate(payments):
            time.sleep(max(0.0, began + place / RATE - time.monotonic()))
            send(sink, codec, [payment])
        sink.flush(120)

    producer = threading.Thread(target=produce)
    producer.start()
    for name in VICTIMS:
        time.sleep(CALM_S)
        reborn(stack, name, kill(stack, name))
    producer.join(timeout=200)
    assert not producer.is_alive()
    until("killing the TaskManager has restarted the job", lambda: restarts(stack, "fraud_features") > before)


def _every_score_is_the_undisturbed_one(
    stack: Settings, client: redis.Redis, payments: list[Transaction], labels: list[FraudLabel]
) -> None:
    identities = [payment.transaction_id for payment in payments]
    until("every transaction has a score", lambda: len(stored(client, identities)) == len(identities), timeout=180)
    expected = _expected(payments, labels, _current(stack))
    scores = {identity: record["score"] for identity, record in stored(client, identities).items()}
    wrong = {
        identity: (scores[identity], expected[identity])
        for identity in expected
        if scores[identity] != expected[identity]
    }
    assert not wrong, f"{len(wrong)} of {len(expected)} differ from the undisturbed run: {list(wrong.items())[:5]}"


def _published_once(stack: Settings, codec: Codec, payments: list[Transaction]) -> None:
    until("the scores are published", lambda: caught_up(stack, "millrace-fraud", "fraud-features"))
    published = defaultdict(set)
    for record in read(stack, "fraud-scores", codec):
        published[record["transaction_id"]].add((record["score"], record["decision"]))
    doubled = [payment.transaction_id for payment in payments if len(published[payment.transaction_id]) != 1]
    assert not doubled, f"a reader of fraud-scores saw none or two decisions: {doubled[:5]}"


def _dump(client: redis.Redis, payments: list[Transaction]) -> dict[bytes, object]:
    customers = {payment.customer_id for payment in payments}
    keys = chain(
        (f"fraud:tx:{payment.transaction_id}" for payment in payments),
        (f"fraud:customer:{customer}" for customer in customers),
    )
    dump: dict[bytes, object] = {key.encode(): client.hgetall(key) for key in keys}
    for customer in customers:
        dump[f"recent:{customer}".encode()] = client.zrange(f"fraud:recent:{customer}", 0, -1, withscores=True)
    return dump


def _replay_changes_nothing(
    stack: Settings, client: redis.Redis, payments: list[Transaction], labels: list[FraudLabel]
) -> None:
    before = _dump(client, payments)
    with plug(stack) as (sink, codec):
        send(sink, codec, labels)
        send(sink, codec, payments)
    until("the job has read the replay", lambda: caught_up(stack, JOB_GROUP, "transactions"))
    until("the consumer has read its features", lambda: caught_up(stack, "millrace-fraud", "fraud-features"))
    assert _dump(client, payments) == before
