"""Kill each part while every product is under load.

Each product's readers see what an undisturbed run gives (tests/integration/exercises).
"""

from __future__ import annotations

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice

import httpx
import pytest
import redis

from config.settings import Settings
from domain.events import Transaction
from millrace.stack.harness import Stack
from tests.integration.exercises import exercises
from tests.integration.explained import explained, now
from tests.integration.flow import Flow, under_load
from tests.integration.parts import paced, plug, read, restarts, until
from tests.integration.payments import JOB, payments_are_through, send, stored

CALM_S = 6.0  # before each kill: longer than from one checkpoint to the next

Sent = Callable[[], dict[str, int]]


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    connection = redis.Redis.from_url(stack.redis_url)
    yield connection
    connection.close()


@pytest.mark.timeout(900)
def test_every_part_may_die_under_load(
    harness: Stack, stack: Settings, client: redis.Redis, api: httpx.Client
) -> None:
    run = f"survival-{uuid.uuid4().hex[:8]}"
    with exercises(stack, client, api, run) as every:
        jobs = [job.name for product in every for job in product.jobs]
        consumers = [f"consumer-{one.name}" for product in every for one in product.consumers]

        def sent() -> dict[str, int]:
            return {product.name: exercise.sent for product, exercise in every.items()}

        with ExitStack() as loads:
            for exercise in every.values():
                loads.enter_context(paced(exercise.sending(), exercise.rate))
            victims = (["taskmanager"], consumers, ["redis"], ["registry"], ["kafka"])
            _disturb(harness, jobs, victims, sent)
            # Last: the jobs come back while nobody waits for them.
            _kill(harness, ["jobmanager"], sent)
        for exercise in every.values():
            exercise.through()
            exercise.verify()
        before = {product: exercise.stored() for product, exercise in every.items()}
        for exercise in every.values():
            exercise.repeat()
        for product, exercise in every.items():
            exercise.through()
            assert exercise.stored() == before[product], "a repetition changed what is stored"


@pytest.mark.timeout(900)
def test_every_vector_is_explained_by_the_log_however_often_the_job_dies(
    harness: Stack, stack: Settings
) -> None:
    """With verdicts on busy terminals while payments flow: none is scored twice, or by luck."""
    flow, start = Flow(f"explained-{uuid.uuid4().hex[:8]}"), now(stack)
    with plug(stack) as (sink, codec):
        flow.send(sink, codec, *flow.verdicts_before())
        with under_load(flow, sink, codec):
            _disturb(harness, [JOB], [["taskmanager"]] * 5, lambda: {JOB: len(flow.events)})
        sink.flush(120)
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
    stream = (one for one in Flow(run).stream() if isinstance(one, Transaction))
    payments = list(islice(stream, 200))
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
    harness: Stack, jobs: Iterable[str], victims: Iterable[Sequence[str]], sent: Sent
) -> None:
    """Kill each of the victims, several at once where named together, the TaskManager among them.

    Return when each job has been restarted.
    """
    stack = harness.settings
    before = {job: restarts(stack, job) for job in jobs}
    for names in victims:
        _kill(harness, names, sent)
    for job, times in before.items():
        until(
            f"killing the TaskManager has restarted {job}",
            partial(_restarted, stack, job, times),
        )


def _kill(harness: Stack, names: Sequence[str], sent: Sent) -> None:
    time.sleep(CALM_S)
    before = sent()
    killed = {name: harness.kill(name) for name in names}
    for name, pid in killed.items():
        harness.wait(partial(_succeeded, harness, name, pid), f"{name} to be restarted")
    harness.wait_ready(*names)
    for load, count in sent().items():
        assert count > before[load], f"{', '.join(names)} did not die under load of {load}"


def _restarted(stack: Settings, job: str, times: int) -> bool:
    return restarts(stack, job) > times


def _succeeded(harness: Stack, name: str, pid: int) -> bool:
    return harness.info(name).pid not in (0, pid)
