"""What is sent to the kernel: the plan, and payments and verdicts in the order of the stream."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from domain.features.reference import Rolling
from domain.fraud import pipeline
from domain.fraud.features import CUSTOMER, FRAUD, INPUTS, TERMINAL
from ingestion.fraud.simulator import Payment
from orchestration.fraud.payments import Payments, stream
from orchestration.fraud.sources import simulated
from orchestration.training.kernel import ARROW, Kernel, KernelError, Plan

EVERY = pa.schema({name: ARROW[kind] for name, kind in INPUTS})


def test_a_plan_names_what_is_read() -> None:
    plan = Plan(FRAUD.sets, FRAUD.model)

    read = plan.columns()

    assert read["event_time"] == "TIMESTAMP"
    assert {"kind", "event_id", "customer_id", "terminal_id", "amount", "is_fraud"} < read.keys()
    assert not {"sequence", "produced_at", "transaction_id"} & read.keys()
    text = json.loads(plan.text(workers=3))
    assert [one["key"] for one in text["sets"]] == [["customer_id"], ["terminal_id"]]
    assert text["sets"][1]["spec"] == TERMINAL.spec()
    assert (text["workers"], text["outputs"]) == (3, list(FRAUD.model))


def test_what_an_earlier_set_computes_is_no_input() -> None:
    name = CUSTOMER.features[0].name
    later = replace(TERMINAL, inputs=(*INPUTS, (name, "BIGINT")))
    assert name not in Plan((CUSTOMER, later), (name,)).columns()


def expected(payments: Payments, delay_ms: int) -> list[dict[str, Any]]:
    """The rows that the reference pipeline is fed, in its order."""
    seen: list[dict[str, Any]] = []

    class Recording(pipeline.FraudPipeline):
        def process(self, row: Any) -> None:
            seen.append(row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "FraudPipeline", Recording)
        list(pipeline.feature_rows(payments.transactions(), payments.labels(delay_ms)))
    return seen


@pytest.mark.parametrize("delay_ms", [0, 1000, 7 * 86_400_000])
def test_the_stream_is_the_pipeline_s(delay_ms: int) -> None:
    source = simulated(days=16, customers=10, seed=3).payments
    # Times a second apart at most, so that verdicts and payments often meet.
    near = [
        Payment(replace(one, event_time=at // 3 * 1000), at % 4)
        for at, one in enumerate(source.transactions())
    ]
    payments = Payments.of(near)

    parts = list(stream(payments, delay_ms, FRAUD.rows, EVERY))

    rows = [row for part in parts for row in part.rows.to_pylist()]
    unseen = dict.fromkeys(("sequence", "order_sequence", "produced_at"))
    assert [row | unseen for row in rows] == [row | unseen for row in expected(payments, delay_ms)]
    places = np.concatenate([part.sequence for part in parts])
    ids = [one.transaction_id for one in payments.transactions()]
    assert [row["transaction_id"] for row in rows] == [ids[place] for place in places]


def test_no_payments_no_rows() -> None:
    assert list(stream(Payments.of([]), 5, FRAUD.rows, EVERY)) == []


def test_a_command_that_fails_says_why() -> None:
    program = "import sys; sys.stdin.read(); sys.stderr.write('out of cheese'); sys.exit(3)"
    with pytest.raises(KernelError, match="code 3: out of cheese"):
        list(Kernel([sys.executable, "-c", program]).run(Plan(FRAUD.sets, FRAUD.model), []))


def test_verdicts_pass_the_customer_s_features() -> None:
    label = next(simulated(16, 10, 3).payments.labels(5))
    out = Rolling(CUSTOMER).process(label.customer_id, pipeline.label_row(label))
    assert out is not None
    assert not out[CUSTOMER.late]
    assert all(out[feature.name] is None for feature in CUSTOMER.features)
