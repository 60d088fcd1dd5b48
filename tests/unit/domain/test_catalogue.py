"""The catalogue of card fraud features: what it declares, and hand-made cases."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from domain.events import FraudLabel, Transaction
from domain.features.declaration import DAY, HOUR
from domain.features.graph import Row
from domain.features.reference import Rolling
from domain.fraud.derived import DERIVED
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import row_of

START = 1_700_000_000_000 // DAY * DAY


def test_at_least_ninety_features_each_described_once() -> None:
    computed, said = FRAUD.computed(), FRAUD.descriptions()
    assert len(computed) >= 90
    assert said.keys() == computed.keys()
    assert all(len(text) > 20 and text.endswith(".") for text in said.values())
    entities = {one.entity for one in FRAUD.sets}
    assert entities == {"customer", "terminal", "customer at terminal"}
    assert set(FRAUD.features) == computed.keys() | {"amount"}


class Log:
    """Rows through all sets of the catalogue, in the order they are given."""

    def __init__(self) -> None:
        self._stages = [(one, Rolling(one)) for one in GRAPH.stages]
        self._number = 0

    def pay(self, at: int, amount: float, customer: str = "c", terminal: str = "t") -> Row:
        self._number += 1
        event = Transaction(
            transaction_id=str(self._number),
            event_time=START + at,
            customer_id=customer,
            terminal_id=terminal,
            amount=amount,
        )
        row = self._through(row_of(event))
        assert row is not None
        return {**row, **FRAUD.derive(row)}

    def judge(self, at: int, fraud: bool, customer: str = "c", terminal: str = "t") -> None:
        self._number += 1
        event = FraudLabel(
            transaction_id=str(self._number),
            event_time=START + at,
            customer_id=customer,
            terminal_id=terminal,
            is_fraud=fraud,
        )
        assert self._through(row_of(event)) is None

    def _through(self, row: Row | None) -> Row | None:
        for declared, rolling in self._stages:
            if row is None:
                return None
            row = rolling.process(declared.key_of(row), row)
        return row


def test_fraud_on_an_unremarkable_payment_speaks_of_the_terminal() -> None:
    log = Log()
    for day in range(8):  # habits: ten a day
        for customer in ("plain", "struck"):
            log.pay(day * DAY, 10.0, customer, f"home of {customer}")
    log.pay(8 * DAY, 10.0, "plain", "t")
    log.pay(8 * DAY + HOUR, 90.0, "struck", "u")
    log.judge(15 * DAY, True, "plain", "t")
    log.judge(15 * DAY + HOUR, True, "struck", "u")
    at_t, at_u = (log.pay(15 * DAY + 2 * HOUR, 10.0, "other", name) for name in "tu")
    assert (at_t["terminal_frauds_7d"], at_t["terminal_plain_7d"]) == (1, 1)
    assert (at_u["terminal_frauds_7d"], at_u["terminal_plain_7d"]) == (1, 0)
    assert at_t["terminal_plain_risk_14d"] == pytest.approx(1.005 / 2)
    assert at_t["terminal_plain_newest"] == 30 * 86_400 - 2 * 3600
    assert at_u["terminal_plain_newest"] == -86_400


def test_a_habit_is_what_was_paid_before() -> None:
    log = Log()
    assert log.pay(0, 10.0)["customer_prior_ratio_30d"] is None
    assert log.pay(HOUR, 20.0)["customer_prior_ratio_30d"] == 2.0
    row = log.pay(DAY, 75.0, terminal="u")
    assert row["customer_prior_ratio_30d"] == 5.0
    assert (row["customer_remarkable_14d"], row["customer_peak_14d"]) == (0, 75 / 35)
    assert row["pair_share_30d"] == pytest.approx(1 / 3)
    assert (row["terminal_new_30d"], row["pair_count_30d"]) == (1.0, 1)
    assert row["customer_acceleration"] == pytest.approx(7 * 2 / 3)


def test_sql_and_python_of_derived_features_agree() -> None:
    duckdb = pytest.importorskip("duckdb")
    names = ["amount", *FRAUD.computed().keys() - {one.name for one in DERIVED}]
    random = Random(3)
    rows = [
        {name: random.choice([None, 0.0, 1.0, random.randint(1, 90) / 2]) for name in names}
        | {"amount": random.randint(0, 90) / 4}
        for _ in range(300)
    ]
    table = pa.table({name: pa.array([row[name] for row in rows], pa.float64()) for name in names})
    connection = duckdb.connect()
    connection.register("given", table)
    for derived in DERIVED:
        sql = derived.sql.replace("`", '"')
        found = connection.sql(f"SELECT CAST({sql} AS DOUBLE) FROM given").fetchall()  # noqa: S608
        said = [derived.python(row) for row in rows]
        numbers, expected = (
            np.array([math.nan if one is None else one for one in values])
            for values in ([one for (one,) in found], said)
        )
        np.testing.assert_allclose(numbers, expected, rtol=1e-12, err_msg=derived.name)
        assert any(one is not None for one in said)
