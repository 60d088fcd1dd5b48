"""The kernel in batch, as a real Java process, against the reference: the same bits.

Streams hold duplicates, late rows, labels, rows that pass, NULLs, and numbers of every kind.
MILLRACE_SEED draws others (tests/integration/rolling_runs.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from config.settings import ROOT
from domain.features.declaration import FeatureSet
from domain.features.graph import Place
from domain.fraud.catalogue import CUSTOMER
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from ingestion.fraud.sparkov import read
from ingestion.fraud.sparkov_simulator import Shape, write
from ingestion.shop.order_simulator import OrderSimulator, Shop
from lakehouse.fraud.log import Event
from millrace.backfilling import by_kernel, by_reference
from orchestration.fraud import sparkov
from orchestration.fraud.payments import stream
from orchestration.fraud.sources import handbook, simulated
from orchestration.fraud.train import computed as matrix
from orchestration.fraud.train import frame_of
from orchestration.orders import train as orders
from orchestration.training.kernel import KernelError, Plan
from tests.integration.kernel_runs import bits, computed, kernel
from tests.integration.rolling_runs import SEEDS, Run, drawn
from tests.unit.lakehouse.fraud_lake import produced
from tests.unit.lakehouse.fraud_lake import stream as log_of

HANDBOOK = ROOT.parent / "shared" / "data" / "fraud_handbook"


def numbers(sets: Sequence[FeatureSet]) -> tuple[str, ...]:
    return tuple(name for one in sets for name, kind in one.columns().items() if kind != "STRING")


RUNS = [run for seed in SEEDS for run in drawn(seed)]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_same_bits_as_the_reference(run: Run) -> None:
    workers, size = (1, 4096) if run.kind == "many" else (3, 257)
    plan = Plan(tuple(run.sets), numbers(run.sets))

    found = computed(run, plan, workers, size)

    last = run.sets[-1].duplicate
    expected = {
        n: [bits(row[name]) for name in plan.outputs]
        for n, row in run.expected.items()
        if not row[last]
    }
    assert len(expected) > 0
    assert found == expected


def test_the_frame_is_the_reference_s() -> None:
    data = simulated(days=20, customers=40, seed=11)

    found, specified = frame_of(data, kernel=kernel()), frame_of(data)

    assert len(found) == len(data.payments)
    assert found.digest() == specified.digest()


def test_payments_with_merchants_and_places_too(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", Shape(cards=10, days=20, stolen_a_month=1.0), seed=6)
    payments = read(tmp_path / "s.csv").payments

    found, specified = (sparkov.frame_of(payments, 86_400_000, one) for one in (kernel(), None))

    assert len(found) == len(payments) > 300
    assert found.digest() == specified.digest()


def test_order_lines_too() -> None:
    happened = OrderSimulator(Shop(visitors=150, days=30, seed=8)).events()

    found, specified = (
        orders.frame_of(happened, orders.computed(happened, kernel=one)) for one in (kernel(), None)
    )

    assert len(found) == sum(one.event.event_type == "transaction" for one in happened) > 300
    assert found.digest() == specified.digest()


def test_the_whole_catalogue_is_the_reference_s() -> None:
    data = simulated(days=20, customers=12, seed=12)
    every = tuple(name for name, kind in FRAUD.computed().items() if kind in ("BIGINT", "DOUBLE"))
    graph = replace(GRAPH, table=replace(FRAUD, model=every))

    found, specified = (matrix(data, kernel=one, graph=graph) for one in (kernel(), None))

    assert found.x.shape == (len(data.payments), len(every))
    np.testing.assert_array_equal(found.x, specified.x)
    np.testing.assert_array_equal(found.places, specified.places)
    # What the model reads comes out the same where nothing else is computed.
    alone = matrix(data, kernel=kernel(), graph=GRAPH)
    read = [every.index(name) for name in FRAUD.model if name in every]
    named = [FRAUD.model.index(every[at]) for at in read]
    assert len(read) == len(FRAUD.model) - 1, "all but the amount, which is carried"
    np.testing.assert_array_equal(alone.x[:, named], specified.x[:, read])
    np.testing.assert_array_equal(alone.places, specified.places)


@pytest.mark.skipif(not HANDBOOK.is_dir(), reason="no ../shared/data/fraud_handbook")
def test_the_frame_of_the_handbook_is_the_reference_s() -> None:
    (path,) = HANDBOOK.glob("*.parquet")
    data = handbook(path, rows=8_000)

    found, specified = frame_of(data, kernel=kernel()), frame_of(data)

    assert len(found) > 5_000
    assert found.digest() == specified.digest()


def test_a_backfill_s_vectors_are_the_reference_s() -> None:
    log = [
        Event(type(one).__name__, asdict(one), Place(0, offset, produced(one)))
        for offset, one in enumerate(log_of(5, 400))
    ]
    chunks = [log[at : at + 97] for at in range(0, len(log), 97)]

    found = [one for part in by_kernel(kernel(), chunks) for one in part]

    specified = [one for part in by_reference(chunks) for one in part]
    assert len(found) > 350
    assert list(map(repr, found)) == list(map(repr, specified))


def test_what_the_kernel_refuses_is_told() -> None:
    plan = Plan((CUSTOMER,), ("customer_count_1d", "nobody_computes_this"))
    with pytest.raises(KernelError, match="code 2: plan: unknown column 'nobody_computes_this'"):
        list(kernel().run(plan, []))


def test_what_making_the_rows_raises_is_raised() -> None:
    plan = Plan(FRAUD.sets, ("amount",))

    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pylist([], plan.schema())
        raise ValueError("the file ended")

    with pytest.raises(ValueError, match="the file ended"):
        list(kernel().run(plan, broken()))


def test_whoever_stops_asking_leaves_no_process() -> None:
    data = simulated(days=16, customers=10, seed=3)
    plan = Plan(FRAUD.sets, ("amount",))
    parts = stream(data.payments, data.delay_ms, plan.schema())
    before = set(psutil.Process().children())

    answers = kernel().run(plan, (part.rows for part in parts))
    next(answers)
    (process,) = set(psutil.Process().children()) - before
    answers.close()

    assert not process.is_running()
