"""The job's own SQL on real Flink gives the outliers that its plain-Python reference gives.

Only the tables that stand for topics are made up. The reference is compared with the standard
library and with cases worked out by hand in tests/unit/domain/test_outliers.py.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from domain.alerts.episodes import momentary
from domain.events import Transaction
from domain.fraud.outliers import LATE_MS, outliers
from processing.jobs import transaction_zscore
from tests.integration.flink_home import run_script

START = 1_700_000_040_000
COLUMNS = [
    ("record_type", "STRING"),
    ("transaction_id", "STRING"),
    ("event_ms", "BIGINT"),
    ("customer_id", "STRING"),
    ("terminal_id", "STRING"),
    ("amount", "DOUBLE"),
    (
        "event_time",
        "AS TO_TIMESTAMP_LTZ(event_ms, 3), WATERMARK FOR event_time AS "
        f"event_time - INTERVAL '{LATE_MS // 1000}' SECOND(3)",
    ),
]


def payments() -> list[Transaction]:
    """Half an hour out of order, with repetitions, a huge one, and some that come far too late."""
    chance = random.Random(31)
    made = []
    for n in range(2_000):
        amount = round(chance.lognormvariate(4, 1.1) * chance.choice((1, 1, 1, -1)), 2)
        made.append(
            Transaction(
                transaction_id=f"p{n}",
                event_time=START + n * 900 + chance.randrange(200_000),
                customer_id=f"c{n % 50}",
                terminal_id=f"t{n % 20}",
                amount=1e300 if n == 1_200 else amount,
            )
        )
        if n % 20 == 0:
            made.append(made[-chance.randrange(1, min(n + 2, 60))])
        if n % 200 == 199:
            late = made[-1].event_time - 700_000
            made.append(
                Transaction(
                    transaction_id=f"late{n}",
                    event_time=late,
                    customer_id="c",
                    terminal_id="t",
                    amount=1e6,
                )
            )
    return made


def test_the_job_tells_of_the_outliers_of_the_reference(tmp_path: Path) -> None:
    made, source, out = payments(), tmp_path / "payments.jsonl", tmp_path / "alerts"
    lines = []
    for one in made:
        fields = asdict(one)
        fields["event_ms"] = fields.pop("event_time")
        lines.append(json.dumps({"record_type": "Transaction", **fields}))
        if len(lines) % 50 == 0:  # a verdict, which is no payment
            lines.append(json.dumps({**json.loads(lines[-1]), "record_type": "FraudLabel"}))
    source.write_text("\n".join(lines) + "\n")
    readable = {"readable": "SELECT * FROM records"}
    job = {
        "input": str(source),
        "columns": COLUMNS,
        "views": {**readable, **transaction_zscore.views()},
        "outputs": {str(out): transaction_zscore.alerts()},
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    run_script("graph_job.py", tmp_path / "job.json")
    told = _read(out)
    expected = {one.payment.transaction_id: one for one in outliers(made)}
    assert len(expected) > 20
    assert "p1200" in expected
    assert len(told) == len(expected), "each once"
    for alert in told:
        far = expected[alert["details"]["transaction_id"]]
        assert alert["alert_id"] == f"zscore/{far.payment.transaction_id}"
        assert alert["entity"] == far.payment.transaction_id
        assert alert["score"] == pytest.approx(1 - 1 / far.z**2, rel=1e-9)
        assert float(alert["details"]["z"]) == pytest.approx(far.z, abs=0.006)
        assert int(alert["details"]["payments"]) == far.payments
        assert alert["state"] == "cleared"
        assert momentary(alert)


def _read(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for part in folder.rglob("*")
        if part.is_file() and not part.name.startswith((".", "_"))
        for line in part.read_text().splitlines()
    ]
