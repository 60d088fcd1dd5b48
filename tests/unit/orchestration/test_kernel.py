"""What is sent to the kernel: the plan, and payments and verdicts in the order of the stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from domain.features.reference import Rolling
from domain.fraud import pipeline
from domain.fraud.catalogue import CUSTOMER, TERMINAL
from domain.fraud.features import FRAUD
from domain.fraud.rows import INPUTS
from ingestion.fraud.simulator import Payment
from orchestration.fraud.payments import Payments, stream
from orchestration.fraud.sources import simulated
from orchestration.training.kernel import ARROW, Answer, Kernel, KernelError, Plan
from tests.unit.domain.graphs import FIRST, GRAPH, TABLE

FIELDS = [
    {"id": name, "at": 5, "meter": "m", "town": "t", "value": 1.5} for name in ("a", "b", "c")
]
FIRST_INPUTS = [name for name, _ in FIRST.inputs]
READ = ("amount", *(f.name for one in FRAUD.sets for f in one.features if f.name in FRAUD.model))
"""What the kernel computes of what the model reads."""
EVERY = pa.schema({name: ARROW[kind] for name, kind in INPUTS})


def test_a_plan_names_what_is_read() -> None:
    plan = Plan(FRAUD.sets, READ)

    read = plan.columns()

    assert read["event_time"] == "TIMESTAMP"
    assert {"kind", "event_id", "customer_id", "terminal_id", "amount", "is_fraud"} < read.keys()
    assert not {"sequence", "produced_at", "transaction_id"} & read.keys()
    text = json.loads(plan.text(workers=3))
    assert [one["key"] for one in text["sets"]] == [list(one.keys) for one in FRAUD.sets]
    assert text["sets"][3]["spec"] == TERMINAL.spec()
    assert (text["workers"], text["outputs"]) == (3, list(READ))


def test_what_an_earlier_set_computes_is_no_input() -> None:
    name = CUSTOMER.features[0].name
    later = replace(TERMINAL, inputs=(*TERMINAL.inputs, (name, "BIGINT")))
    assert name not in Plan((CUSTOMER, later), (name,)).columns()


def test_nothing_is_computed_that_neither_the_model_nor_a_later_set_reads() -> None:
    plan = Plan.of(replace(FRAUD, model=("amount", "terminal_plain_risk_14d")))
    computed = {one.name: {made.name for made in one.features} for one in plan.sets}
    assert computed["terminal"] == {"terminal_plain_14d", "terminal_labels_14d"}
    assert computed["pair"] == {"pair_last_ratio", "pair_last_amount"}
    assert computed["customer"] == {"customer_ratio_30d"}
    assert len(computed["habit"]) == 1, "it says which rows are repeated"
    assert [one.windows for one in plan.sets] == [one.windows for one in FRAUD.sets]
    assert "pair_count_30d" not in {name for one in plan.sets for name, _ in one.inputs}
    numbers = tuple(one for one, kind in FRAUD.computed().items() if kind != "STRING")
    every = Plan.of(replace(FRAUD, model=numbers))
    assert [len(one.features) for one in every.sets] == [len(one.features) for one in FRAUD.sets]


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

    parts = list(stream(payments, delay_ms, EVERY))

    rows = [row for part in parts for row in part.rows.to_pylist()]
    unseen = dict.fromkeys(("sequence", "order_sequence", "produced_at"))
    assert [row | unseen for row in rows] == [row | unseen for row in expected(payments, delay_ms)]
    places = np.concatenate([part.sequence for part in parts])
    ids = [one.transaction_id for one in payments.transactions()]
    assert [row["transaction_id"] for row in rows] == [ids[place] for place in places]


def test_no_payments_no_rows() -> None:
    assert list(stream(Payments.of([]), 5, EVERY)) == []


def test_a_command_that_fails_says_why() -> None:
    program = "import sys; sys.stdin.read(); sys.stderr.write('out of cheese'); sys.exit(3)"
    with pytest.raises(KernelError, match="code 3: out of cheese"):
        list(Kernel([sys.executable, "-c", program]).run(Plan(FRAUD.sets, READ), []))


def test_verdicts_pass_the_customer_s_features() -> None:
    label = next(simulated(16, 10, 3).payments.labels(5))
    out = Rolling(CUSTOMER).process(label.customer_id, pipeline.label_row(label))
    assert out is not None
    assert not out[CUSTOMER.late]
    assert all(out[feature.name] is None for feature in CUSTOMER.features)


READINGS = Plan.of(TABLE)


def answered(*rows: tuple[int, dict[str, float]]) -> Answer:
    """What the kernel would return for rows of a chunk, each with its place in it."""
    values = [[row.get(name, np.nan) for name in READINGS.asked()] for _, row in rows]
    return Answer(np.array([place for place, _ in rows], np.int32), np.array(values))


def test_a_plan_with_derived_features_asks_for_every_number_and_keeps_every_input() -> None:
    assert READINGS.outputs == TABLE.model
    assert "others" not in READINGS.asked()
    assert {"double", "meter_rows", "meter_late", "town_rows"} < {*READINGS.asked()}
    assert set(READINGS.schema().names) == {name for name, _ in FIRST.inputs}
    assert "produced_at" not in READINGS.columns(), "the kernel itself does not read it"
    assert Plan(FRAUD.sets, READ).asked() == READ


def test_derived_features_are_computed_from_the_answer_and_the_chunk() -> None:
    rows = [GRAPH.row("Reading", fields) for fields in FIELDS]
    chunk = pa.RecordBatch.from_pylist(rows, READINGS.schema())
    seen = {"double": 3.0, "meter_rows": 2.0, "town_rows": 5.0, "meter_late": 0.0}
    late = {"double": 3.0, "town_rows": 1.0, "meter_late": 1.0}

    found = READINGS.complete(chunk, answered((0, seen), (2, late)))

    assert found.places.tolist() == [0, 2]
    assert READINGS.outputs == ("double", "meter_rows", "town_rows", "others")
    np.testing.assert_array_equal(found.values, [[3.0, 2.0, 5.0, 3.0], [3.0, np.nan, 1.0, np.nan]])


def test_a_derived_feature_sees_a_row_as_the_twin_does() -> None:
    seen: list[dict[str, Any]] = []

    def note(row: Mapping[str, Any]) -> float:
        seen.append(dict(row))
        return 1.5

    spy = replace(TABLE.derived[0], python=note)
    plan = replace(READINGS, derived=(spy,))
    rows = [GRAPH.row("Reading", fields) for fields in FIELDS]
    chunk = pa.RecordBatch.from_pylist(rows, plan.schema())
    known = {"double": 3.0, "meter_rows": 2.0, "meter_late": 0.0, "town_late": 1.0}

    found = plan.complete(chunk, answered((1, known)))

    assert found.values[0, -1] == 1.5
    (row,) = seen
    assert {name: row[name] for name in FIRST_INPUTS} == rows[1]
    counts = (row["meter_rows"], row["town_rows"], row["meter_late"], row["town_late"])
    assert [repr(value) for value in counts] == ["2", "None", "False", "True"]


def test_a_derived_feature_that_reads_what_is_not_there_is_named() -> None:
    odd = replace(TABLE.derived[0], python=lambda row: row["mood"])
    plan = replace(READINGS, derived=(odd,))
    chunk = pa.RecordBatch.from_pylist([GRAPH.row("Reading", FIELDS[0])], plan.schema())
    with pytest.raises(KernelError, match="derived feature 'others' reads 'mood', which is no"):
        plan.complete(chunk, answered((0, {})))
