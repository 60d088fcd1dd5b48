"""Kill each part under load.

Every transaction ends up with one score, the one an undisturbed run gives.

The undisturbed run is the specification: features by the reference engine in plain Python
(`domain/`), which a property test holds equal to the kernel bit for bit, and the same model. So
this also shows that the whole path computes what is specified.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import redis

from config.settings import Settings
from domain.events import Transaction
from domain.fraud.features import FRAUD
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from millrace.stack.harness import Stack
from millrace.stack.layout import Layout
from orchestration.shelf.store import Store
from serving.fraud.model import Model, accept
from tests.integration.explained import explained, now
from tests.integration.flow import Flow, under_load
from tests.integration.parts import (
    CONSUMER_GROUP,
    caught_up,
    decisions,
    ends,
    payments_are_through,
    plug,
    read,
    restarts,
    send,
    stored,
    until,
)

VICTIMS = ("taskmanager", "consumer-fraud", "redis", "registry", "kafka")
CALM_S = 6.0  # before each kill: longer than from one checkpoint to the next
# What a transaction's place in its topic adds to its features.
PLACES = {"partition", "sequence", "order_partition", "order_sequence", "produced_at"}


def _current(stack: Settings) -> Model:
    store = Store(Layout.of(stack).models / "fraud")
    return accept(*store.load(store.current() or ""))


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    connection = redis.Redis.from_url(stack.redis_url)
    yield connection
    connection.close()


@pytest.mark.timeout(420)
def test_every_part_may_die_under_load(
    harness: Stack, stack: Settings, client: redis.Redis
) -> None:
    flow = Flow(f"survival-{uuid.uuid4().hex[:8]}")
    start = {topic: ends(stack, topic) for topic in ("fraud-features", "fraud-scores")}
    with plug(stack) as (sink, codec):
        _disturb(harness, flow, sink, codec, VICTIMS)
        expected = flow.features()
        _every_score_is_the_undisturbed_one(stack, client, expected)
        features = read(stack, "fraud-features", codec, start["fraud-features"])
        _every_feature_is_the_specified_one(features, expected)
        _published_once(stack, codec, start["fraud-scores"], expected)
        _nothing_changes_by_a_replay(stack, client, flow, sink, codec, features)


@pytest.mark.timeout(900)
def test_every_vector_is_explained_by_the_log_however_often_the_job_dies(
    harness: Stack, stack: Settings
) -> None:
    """With verdicts on busy terminals while payments flow: none is scored twice, or by luck."""
    flow, start = Flow(f"explained-{uuid.uuid4().hex[:8]}"), now(stack)
    with plug(stack) as (sink, codec):
        _disturb(harness, flow, sink, codec, ["taskmanager"] * 5)
        payments_are_through(stack)
        found = explained(stack, codec, start, flow.run)
        assert not found.wrong, f"{len(found.wrong)} differ: {found.wrong[:5]}"
        vectors = found.by_payment()
        assert vectors.keys() == {payment.transaction_id for payment in flow.payments}
        assert {len(one) for one in vectors.values()} == {1}, "a payment has two vectors"
        assert len(found.vectors) > len(vectors), "nothing came again: the kills showed nothing"
        assert found.verdicts == len(flow.events) - len(flow.payments)
        seen = {vector["terminal_labels_7d"] for vector in found.vectors}
        assert len(seen) > 50, "verdicts came between payments"
        scores: dict[str, set[object]] = defaultdict(set)
        for record in read(stack, "fraud-scores", codec):
            scores[record["transaction_id"]].add((record["score"], record["decision"]))
        assert {len(scores[identity]) for identity in vectors} == {1}


@pytest.mark.timeout(180)
def test_redis_may_forget_what_it_answered_last(
    stack: Settings, harness: Stack, client: redis.Redis
) -> None:
    """Killed while the disk is slow, its file lacks what it answered for up to two seconds.

    Here, for the last few.
    """
    run = f"forgetful-{uuid.uuid4().hex[:8]}"
    payments = [one for one in Flow(run).stream() if isinstance(one, Transaction)][:200]
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
    harness: Stack, flow: Flow, sink: KafkaSink, codec: Codec, victims: Sequence[str]
) -> None:
    stack = harness.settings
    flow.send(sink, codec, *flow.verdicts_before())
    before = restarts(stack, "fraud_features")
    with under_load(flow, sink, codec):
        for name in victims:
            time.sleep(CALM_S)
            sent = len(flow.events)
            harness.killed_and_back(name)
            assert len(flow.events) > sent, f"{name} did not die under load"
    until(
        "killing the TaskManager has restarted the job",
        lambda: restarts(stack, "fraud_features") > before,
    )
    sink.flush(120)


def _every_score_is_the_undisturbed_one(
    stack: Settings, client: redis.Redis, expected: dict[str, dict[str, Any]]
) -> None:
    until(
        "every transaction has a score",
        lambda: len(stored(client, expected)) == len(expected),
        timeout=180,
    )
    model = _current(stack)
    matrix = np.array(
        [[row[name] for name in model.features] for row in expected.values()], dtype=np.float64
    )
    scores = dict(zip(expected, map(float, model.predictor.predict(matrix)), strict=True))
    told = {
        identity: (one["score"], one["decision"], one["late"])
        for identity, one in stored(client, expected).items()
    }
    right = {
        identity: (score, model.thresholds.decide(score), expected[identity]["late"])
        for identity, score in scores.items()
    }
    wrong = {
        identity: (told[identity], right[identity])
        for identity in right
        if told[identity] != right[identity]
    }
    assert not wrong, (
        f"{len(wrong)} of {len(right)} differ from the undisturbed run: {list(wrong.items())[:5]}"
    )
    assert len(set(scores.values())) > 100, (
        "a model that says one thing of all would hide what is lost"
    )
    assert {decision for _, decision, _ in right.values()} == {"approve", "review", "block"}


def _every_feature_is_the_specified_one(
    features: list[dict[str, Any]], expected: dict[str, dict[str, Any]]
) -> None:
    """Bit for bit, and each time: after a restart some come again."""
    mine = [row for row in features if row["transaction_id"] in expected]
    assert {row["transaction_id"] for row in mine} == expected.keys()
    names = {*FRAUD.model, *expected[mine[0]["transaction_id"]]} - PLACES
    wrong = [
        (row["transaction_id"], name, row[name], expected[row["transaction_id"]][name])
        for row in mine
        for name in names
        if repr(row[name]) != repr(expected[row["transaction_id"]][name])
    ]
    assert not wrong, f"{len(wrong)} features are not what is specified: {wrong[:5]}"


def _published_once(
    stack: Settings, codec: Codec, start: dict[int, int], expected: dict[str, dict[str, Any]]
) -> None:
    until("the scores are published", lambda: caught_up(stack, CONSUMER_GROUP, "fraud-features"))
    published = defaultdict(set)
    for record in read(stack, "fraud-scores", codec, start):
        published[record["transaction_id"]].add((record["score"], record["decision"]))
    doubled = [identity for identity in expected if len(published[identity]) != 1]
    assert not doubled, f"a reader of fraud-scores saw none or two decisions: {doubled[:5]}"


def _nothing_changes_by_a_replay(
    stack: Settings,
    client: redis.Redis,
    flow: Flow,
    sink: KafkaSink,
    codec: Codec,
    features: list[dict[str, Any]],
) -> None:
    """Neither of the events, which the kernel knows, nor of features, which the store must refuse.

    Newest first.
    """
    identities = [payment.transaction_id for payment in flow.payments]
    customers = {payment.customer_id for payment in flow.payments}
    before = decisions(client, identities, customers)
    send(sink, codec, flow.events)
    mine = set(identities)
    for row in reversed([row for row in features if row["transaction_id"] in mine]):
        sink.send("fraud-features", row["customer_id"], codec.encode("fraud-features", row))
    sink.flush(120)
    payments_are_through(stack)
    assert decisions(client, identities, customers) == before
