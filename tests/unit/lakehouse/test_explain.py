"""A decision is traced back to its event, its features, its model, and the model's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from config.errors import RetryableError, UserError
from config.settings import Settings
from domain.fraud.graph import GRAPH
from domain.times import iso
from ingestion.kafka.tail import Line
from lakehouse.fraud.verification import SEVERAL
from millrace import explaining
from millrace.cli import explain as command
from millrace.explaining import explain
from millrace.stack.layout import Layout
from orchestration.shelf.store import Store
from tests.unit.lakehouse.fraud_lake import START, Event, FraudLake, judge, pay, vectors
from tests.unit.lakehouse.lakes import lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Parquet writer option"),
]

VERSION = f"{GRAPH.version}-abc"
SNAPSHOTS = {"bronze.fraud_features": 12345}


@pytest.fixture
def current(tmp_path: Path) -> Settings:
    found = Settings.model_validate(
        {
            "state_dir": tmp_path,
            "lake_catalog_uri": f"sqlite:///{tmp_path / 'catalog.db'}",
            "lake_warehouse": f"file://{tmp_path / 'warehouse'}",
        }
    )
    details = {
        "thresholds": {"review": 0.2, "block": 0.9},
        "split": {"train": {"from": START, "to": START + 1000, "rows": 7, "frauds": 1}},
        "data": {"source": "the lake", "rows": 9, "digest": "d1"},
        "retraining": {
            "mlflow_run": "run-1",
            "logical_date": "2026-01-01T00:00:00+00:00",
            "until": START,
            "snapshots": SNAPSHOTS,
        },
    }
    Store(Layout.of(found).models / "fraud").publish(
        VERSION,
        "lightgbm",
        {"model.txt": b"tree"},
        feature_set_version=GRAPH.version,
        features=("amount",),
        details=details,
    )
    return found


def _score(vector: dict[str, Any]) -> dict[str, Any]:
    names = ("transaction_id", "customer_id", "terminal_id", "event_time", "amount", "late")
    return {
        **{name: vector[name] for name in (*names, "sequence", "produced_at")},
        "score": 0.95,
        "decision": "block",
        "reasons": ["customer_ratio_30d"],
        "model_version": VERSION,
        "feature_set_version": GRAPH.version,
        "features_at": vector["produced_at"] + 3,
        "scored_at": vector["produced_at"] + 5,
    }


def _filled(tmp_path: Path) -> list[dict[str, Any]]:
    events: list[Event] = [pay("a", START, "c", "k", 5.0), pay("b", START + 60_000, "c", "k", 7.0)]
    made = vectors(events)
    of = FraudLake(lake(tmp_path))
    of.log([*events, judge(pay("b", 0, "c", "k"), START + 120_000, fraud=True)])
    of.vectors([*made, made[1]])
    scored = {"_topic": "fraud-scores", "_partition": 1, "_offset": 8, "_ingested_at": START + 99}
    of.append("fraud_scores", [{**scored, **_score(made[1])}])
    return made


def _never(*_: object) -> Any:
    raise AssertionError("the lake has it all")


def test_the_lake_has_the_whole_way_back(current: Settings, tmp_path: Path) -> None:
    _filled(tmp_path)
    found = explain(current, "b", decision=_never, lines=_never)
    assert found.missing == []
    assert found.payment is not None
    assert found.payment["topic"] == "transactions"
    assert (found.payment["partition"], found.payment["offset"]) == (0, 1)
    assert found.payment["time"] == iso(START + 60_005)
    assert found.payment["record"] == {
        "transaction_id": "b",
        "event_time": iso(START + 60_000),
        "customer_id": "c",
        "terminal_id": "k",
        "amount": 7.0,
    }
    assert [one["record"]["is_fraud"] for one in found.verdicts] == [True]
    assert found.vector is not None
    assert found.vector["record"]["customer_count_1h"] == 2
    assert found.vector["repeats"] == 1
    assert found.vector["recomputed"] == "equal to the bit, from 2 records"
    assert found.score is not None
    assert (found.score["record"]["decision"], found.score["offset"]) == ("block", 8)
    assert found.model is not None
    assert found.model["mlflow_run"] == "run-1"
    assert found.model["snapshots"] == SNAPSHOTS
    assert found.model["rules"]["thresholds"] == {"review": 0.2, "block": 0.9}
    assert found.model["split"]["train"]["from"] == iso(START)
    assert found.model["data"]["digest"] == "d1"


def test_of_four_partitions_a_payment_is_found_in_its_own(
    current: Settings, tmp_path: Path
) -> None:
    """The same offset is another record in each; what terminals saw is not in the lake."""
    of, names = FraudLake(lake(tmp_path)), ("zero", "one", "two", "three")
    for place, name in enumerate(names):
        event = pay(name, START + place, f"c{place}", "k")
        (made,) = vectors([event])
        at = {"_topic": "transactions", "_partition": place, "_offset": 0, "_ingested_at": START}
        of.append("transactions", [{**at, **asdict(event)}])
        of.append("fraud_features", [{**at, "_topic": "fraud-features", **made}])
        of.append("fraud_scores", [{**at, "_topic": "fraud-scores", **_score(made)}])
    for place, name in enumerate(names):
        found = explain(current, name, decision=_never, lines=_never)
        assert found.payment is not None
        assert found.vector is not None
        assert (found.payment["partition"], found.payment["offset"]) == (place, 0)
        assert found.payment["record"]["customer_id"] == f"c{place}"
        assert found.payment["repeats"] == 0
        assert found.vector["record"]["transaction_id"] == name
        assert found.vector["recomputed"] == f"not verifiable: {SEVERAL}"


def test_without_a_lake_redis_and_kafka_have_what_they_still_have(current: Settings) -> None:
    (made,) = vectors([pay("a", START, "c", "k")])
    score = _score(made)
    document = {
        name: iso(value) if name in explaining._TIMES else value for name, value in score.items()
    }

    def lines(topic: str, since: int) -> Iterator[Line]:
        assert since == {"transactions": START + 5, "fraud-features": START + 8}[topic]
        other = Line(0, 0, START, None, {**made, "transaction_id": "z"}, "Transaction")
        yield other
        if topic == "transactions":
            # Sent twice: the decision says which of the two it is about.
            yield Line(0, 4, START, None, {"transaction_id": "a"}, "Transaction")
            yield Line(0, 0, START, None, {"transaction_id": "a"}, "Transaction")

    found = explain(current, "a", decision=lambda *_: document, lines=lines)
    assert found.payment is not None
    assert (found.payment["source"], found.payment["offset"]) == ("kafka", 0)
    assert found.score == {"source": "redis", "record": document}
    assert found.vector is None
    assert found.model is not None
    assert any("fraud-features does not have it" in one for one in found.missing)
    assert any("the lake has no bronze.transactions" in one for one in found.missing)


def test_what_nobody_knows_is_an_error_that_says_where_it_looked(current: Settings) -> None:
    def away(*_: object) -> None:
        raise RetryableError("the API does not answer at here")

    with pytest.raises(UserError, match=r"nothing is known of 'x': .*the API does not answer"):
        explain(current, "x", decision=away, lines=_never)


def test_a_page_and_json(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(tmp_path)
    monkeypatch.setattr(command, "settings", lambda: current)
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer(callback=lambda: None)
    command.register(app)
    runner = CliRunner()
    page = runner.invoke(app, ["explain", "b"])
    assert page.exit_code == 0, page.output
    for words in (
        "transactions/0 at 1",
        "told 1 more times",
        "customer_count_30d",
        "terminal_frauds_risk_21d",
        "equal to the bit, from 2 records",
        "MLflow run",
        "run-1",
        "snapshot 12345",
        "block",
    ):
        assert words in page.stdout
    assert len(page.stdout.splitlines()) < 70
    told = runner.invoke(app, ["explain", "b", "--json"])
    assert json.loads(told.stdout)["score"]["record"]["score"] == 0.95
