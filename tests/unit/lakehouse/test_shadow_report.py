"""`millrace model shadow fraud --report --lake` over a small lake, beside scikit-learn."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score
from typer.testing import CliRunner

from config.settings import settings
from lakehouse.catalog import catalog
from millrace.cli.main import build
from tests.unit.lakehouse.lakes import EPOCH, append, bronze

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
COUNT = 300


def _records() -> list[dict[str, Any]]:
    rng = random.Random(5)
    found = []
    for at in range(COUNT):
        ours, theirs = round(rng.random(), 2), round(rng.random(), 2)
        found.append(
            {
                "transaction_id": f"t{at}",
                "customer_id": f"c{at % 7}",
                "event_time": EPOCH + timedelta(hours=at),
                "champion": "m1",
                "champion_score": ours,
                "champion_decision": "block" if ours > 0.7 else "approve",
                "challenger": "m2",
                "challenger_score": theirs,
                "challenger_decision": "block" if theirs > 0.6 else "approve",
            }
        )
    return found


def test_the_report_of_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_settings: None
) -> None:
    del fresh_settings
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    lake, records = catalog(settings()), _records()
    scores = bronze(lake, "fraud_shadow_scores", "FraudShadowScore")
    append(scores, "fraud-shadow-scores", records)
    append(scores, "fraud-shadow-scores", [{**one, "champion": "m9"} for one in records[:50]])
    labels = bronze(lake, "fraud_labels", "FraudLabel")
    verdicts = {f"t{at}": at % 5 == 0 for at in range(COUNT) if at % 3}
    append(
        labels,
        "transactions",
        [
            {"transaction_id": name, "event_time": EPOCH + timedelta(days=at), "is_fraud": fraud}
            for at in range(2)  # corrected: first the opposite
            for name, one in verdicts.items()
            for fraud in [one if at else not one]
        ],
    )
    since = EPOCH + timedelta(hours=100)
    line = ["shadow", "fraud", "--report", "--lake", "--since", since.isoformat(), "--json"]
    result = CliRunner().invoke(build("model"), ["model", *line])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)

    within = records[100:]
    assert (found["champion"], found["payments"]) == ("m1", len(within))
    judged = [one for one in within if one["transaction_id"] in verdicts]
    truth = [verdicts[one["transaction_id"]] for one in judged]
    assert (found["judged"], found["frauds"]) == (len(judged), sum(truth))
    for side in ("champion", "challenger"):
        flagged = [one[f"{side}_decision"] != "approve" for one in judged]
        told = found["quality"][side]
        assert told["flagged"]["precision"] == pytest.approx(precision_score(truth, flagged))
        assert told["flagged"]["recall"] == pytest.approx(recall_score(truth, flagged))
        assert told["average_precision"] == pytest.approx(
            average_precision_score(truth, [one[f"{side}_score"] for one in judged])
        )
    shown = CliRunner().invoke(build("model"), ["model", *line[:-1]])
    assert f"m2 beside m1: {len(within)} payments" in shown.stdout
