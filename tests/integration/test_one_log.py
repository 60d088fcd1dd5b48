"""One time for training, replay and live: what a payment sees is what stands before it in the log.

A job far behind, and one on several partitions that is killed and rescaled under load.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from config.settings import ROOT, Settings
from domain.fraud.catalogue import CUSTOMER, HABIT, TERMINAL
from domain.fraud.features import TERMINAL_LOG
from domain.fraud.order import log_order
from domain.fraud.pipeline import Customers, Terminals, row_of
from ingestion.fraud.batches import FraudEncoders, PaymentBatches
from ingestion.fraud.handbook import Handbook
from ingestion.fraud.simulator import DAY_MS, WEEK_MS, Payment
from ingestion.replay.pacing import pacer
from ingestion.replay.run import run as replay
from ingestion.wire.codec import Codec
from millrace.flink import rest as cluster
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.conftest import OFTEN
from tests.integration.explained import explained, now
from tests.integration.flow import Flow, under_load
from tests.integration.parts import caught_up, ends, messages, plug, read, until
from tests.integration.payments import JOB_GROUP

HANDBOOK = ROOT.parent / "shared" / "data" / "fraud_handbook"
DAYS = int(os.environ.get("MILLRACE_TEST_DAYS", "21"))
SAMPLED = 12

Vector = dict[str, Any]


def _payments(run: str) -> list[Payment]:
    """The first days of the Handbook's data, under ids of this run alone."""
    rows = (row for row in Handbook(HANDBOOK) if isinstance(row, Payment))
    first = next(rows)
    until_ms = (first.transaction.event_time // DAY_MS + DAYS) * DAY_MS
    payments = takewhile(lambda row: row.transaction.event_time < until_ms, rows)
    return [_renamed(payment, run) for payment in [first, *payments]]


def _renamed(payment: Payment, run: str) -> Payment:
    one = payment.transaction
    names = (one.transaction_id, one.customer_id, one.terminal_id)
    identity, customer, terminal = (f"{run}-{name}" for name in names)
    return replace(
        payment,
        transaction=replace(
            one, transaction_id=identity, customer_id=customer, terminal_id=terminal
        ),
    )


@contextmanager
def _stopped(harness: Stack, job: str) -> Iterator[None]:
    """The job is away while the body runs, and takes up its state afterwards."""
    harness.cli("jobs", "stop", job)
    try:
        yield
    finally:
        harness.cli("jobs", "submit", job, "--from-savepoint", "latest")


@pytest.mark.skipif(not HANDBOOK.exists(), reason="the Handbook's data are not there")
@pytest.mark.timeout(900)
def test_a_job_far_behind_sees_what_it_would_have_seen(harness: Stack, stack: Settings) -> None:
    run = f"behind-{uuid.uuid4().hex[:8]}"
    payments, start = _payments(run), now(stack)
    harness.stop("consumer-fraud")  # a month of decisions would only take the job's time
    try:
        with plug(stack) as (sink, codec):
            with _stopped(harness, "fraud_features"):
                batches = PaymentBatches(FraudEncoders.of(codec)).of(payments)
                replay(batches, sink, pacer("max"), None, lambda rows, rejected: None)
            until(
                "the job has read the log",
                lambda: caught_up(stack, JOB_GROUP, "transactions"),
                timeout=240,
                pause=1.0,
            )
            vectors = _vectors(stack, codec, start["fraud-features"], run)
    finally:
        harness.up("consumer-fraud")
    assert vectors.keys() == {payment.transaction.transaction_id for payment in payments}
    _customers_agree(payments, vectors)
    _terminals_agree(payments, vectors)
    _no_verdict_is_seen_before_its_time(payments, vectors)


def _vectors(stack: Settings, codec: Codec, start: dict[int, int], run: str) -> dict[str, Vector]:
    """By payment; asserts that none has two."""
    found: dict[str, Vector] = {}
    for message in messages(stack, "fraud-features", start):
        vector = codec.decode("fraud-features", message.value())
        if vector["transaction_id"].startswith(run):
            earlier = found.setdefault(vector["transaction_id"], vector)
            assert repr(earlier) == repr(vector)
    return found


def _busiest(payments: Iterable[Payment], key: Callable[[Payment], str]) -> set[str]:
    """The busiest few, and as many from the middle."""
    counts: dict[str, int] = defaultdict(int)
    for payment in payments:
        counts[key(payment)] += 1
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return {*ranked[:SAMPLED], *ranked[len(ranked) // 2 :][:SAMPLED]}


def _customer(payment: Payment) -> str:
    return payment.transaction.customer_id


def _terminal(payment: Payment) -> str:
    return payment.transaction.terminal_id


def _customers_agree(payments: list[Payment], vectors: dict[str, Vector]) -> None:
    sample, customers = _busiest(payments, _customer), Customers()
    names = [feature.name for one in (CUSTOMER, HABIT) for feature in one.features]
    for payment in payments:
        if _customer(payment) in sample:
            right = customers.process(row_of(payment.transaction))
            assert right is not None
            _agree(vectors[payment.transaction.transaction_id], right, names)


def _terminals_agree(payments: list[Payment], vectors: dict[str, Vector]) -> None:
    sample, terminals = _busiest(payments, _terminal), Terminals()
    mine = [payment for payment in payments if _terminal(payment) in sample]
    marks = {one.late: False for one in TERMINAL_LOG.after}
    unknown = {name for one in TERMINAL_LOG.after for name in one.columns()}
    blank = dict.fromkeys(unknown) | marks
    names = [one.name for one in TERMINAL.features if not one.reads & unknown]
    assert len(names) > 20
    merged = log_order(
        [payment.transaction for payment in mine], [payment.label(WEEK_MS) for payment in mine]
    )
    for event in merged:
        right = terminals.process({**row_of(event), **blank})
        if right is not None:
            _agree(vectors[right["transaction_id"]], right, names)


def _agree(vector: Vector, right: Vector, names: Iterable[str]) -> None:
    wrong = [name for name in names if repr(vector[name]) != repr(right[name])]
    assert not wrong, {name: (vector[name], right[name]) for name in wrong}


def _no_verdict_is_seen_before_its_time(
    payments: list[Payment], vectors: dict[str, Vector]
) -> None:
    """Count from the file, sharing nothing with the engines."""
    windows = {"1d": (3_600_000, 24), "7d": (6 * 3_600_000, 28), "30d": (DAY_MS, 30)}
    sample = _busiest(payments, _terminal)
    verdicts: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for payment in payments:
        if _terminal(payment) in sample:
            known = payment.transaction.event_time + WEEK_MS
            verdicts[_terminal(payment)].append((known, payment.is_fraud))
    counted = 0
    for payment in payments:
        if _terminal(payment) not in sample:
            continue
        time_ms = payment.transaction.event_time
        vector = vectors[payment.transaction.transaction_id]
        for name, (tile, tiles) in windows.items():
            oldest = (time_ms // tile - tiles + 1) * tile
            seen = [
                fraud for known, fraud in verdicts[_terminal(payment)] if oldest <= known <= time_ms
            ]
            counted += len(seen)
            assert vector[f"terminal_labels_{name}"] == len(seen)
            risk = sum(seen) / len(seen) if seen else None
            assert vector[f"terminal_risk_{name}"] == risk
    assert counted > 1000, "hardly a verdict was known: nothing is shown"


SEVERAL = {
    **OFTEN,
    # Alone: with the shop's jobs at this parallelism there would be no slot for the third subtask.
    "MILLRACE_GROUPS": "core,fraud",
    "MILLRACE_PARTITIONS": "transactions=4,fraud-terminal-log=4,fraud-features=4",
    "MILLRACE_FLINK_PARALLELISM": "2",
    "MILLRACE_FLINK_TASK_SLOTS": "6",
}


@pytest.fixture
def several(tmp_path: Path, model: str, _ours: Stack) -> Iterator[Stack]:
    """A stack of its own: four partitions, parallelism 2, and the model of the session's stack."""
    trained = _ours.layout.current_model("fraud").parent
    with shifted(tmp_path / "several", SECOND_OFFSET, SEVERAL) as stack:
        shutil.copytree(trained, stack.layout.current_model("fraud").parent)
        stack.up("jobs", "consumer-fraud", timeout=600)
        yield stack


@pytest.mark.long
@pytest.mark.timeout(900)
def test_several_partitions_explain_every_vector_over_a_kill_and_a_rescale(several: Stack) -> None:
    stack, run = several.settings, f"several-{uuid.uuid4().hex[:8]}"
    assert len(ends(stack, "transactions")) == 4
    flow, start = Flow(run), now(stack)
    with plug(stack) as (sink, codec):
        flow.send(sink, codec, *flow.verdicts_before())
        with under_load(flow, sink, codec, rate=200):
            time.sleep(8)
            several.killed_and_back("taskmanager")
            time.sleep(8)
            several.cli("jobs", "stop", "fraud_features")
            os.environ["MILLRACE_FLINK_PARALLELISM"] = "3"
            several.cli("jobs", "submit", "fraud_features", "--from-savepoint", "latest")
            assert _parallelism(several) == 3
            time.sleep(5)
        identities = {payment.transaction_id for payment in flow.payments}

        def scored() -> dict[str, set[object]]:
            scores: dict[str, set[object]] = defaultdict(set)
            for record in read(stack, "fraud-scores", codec):
                scores[record["transaction_id"]].add((record["score"], record["decision"]))
            return scores

        until("each has a score", lambda: scored().keys() >= identities, timeout=120, pause=1.0)
        found = explained(stack, codec, start, run)
        scores = scored()
    assert not found.wrong, f"{len(found.wrong)} differ: {found.wrong[:5]}"
    vectors = found.by_payment()
    assert vectors.keys() == identities
    assert {len(one) for one in vectors.values()} == {1}, "a payment has two vectors"
    assert {len(scores[identity]) for identity in identities} == {1}
    assert len({vector["order_partition"] for vector in found.vectors}) == 4
    assert found.verdicts == len(flow.events) - len(flow.payments)


def _parallelism(several: Stack) -> int:
    (job,) = (one for one in cluster.listing(several.settings) if one.name == "fraud_features")
    vertices = cluster.rest(several.settings, f"/jobs/{job.id}")["vertices"]
    return max(int(vertex["parallelism"]) for vertex in vertices)
