"""Every DAG, really run: Airflow in one process, the real commands, a small lake.

A scorer's page of metrics stands in for the consumer. The scheduler is in test_airflow_scheduler.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from config.settings import ROOT, Settings
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack.harness import Stack
from millrace.stack.layout import Layout
from millrace.stack.parts import airflow
from orchestration.retraining.handover import Run
from tests.integration.airflow_parts import AT, CHAINS, DAY, Clockwork, clockwork, scorer
from tests.integration.parts import ends, read, until

DAGS, HERE = ROOT / "orchestration" / "dags", ROOT / "tests" / "integration"


@dataclass(frozen=True, slots=True)
class Ran:
    """A run: its state, the states of its tasks, and the JSON that each command ended with."""

    state: str
    states: dict[str, str]
    handed_on: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Runner:
    """A process of Airflow's environment that runs one DAG after the other."""

    process: subprocess.Popen[str]
    clockwork: Clockwork
    log: Path

    def run(
        self, dag: str, at: datetime = AT, done: str | None = None, worse_by: float = 0.02
    ) -> Ran:
        """Run a DAG for a logical date; tasks that match `done` count as done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        environment = {
            "MILLRACE_RETRAIN_WORSE_BY": str(worse_by),
            "MILLRACE_RETRAIN_SURELY_WORSE": "allow" if worse_by > 0.02 else "refuse",
        }
        asked = {"dag": dag, "date": at.isoformat(), "done": done, "environment": environment}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.said()
        return Ran(**json.loads(answer))

    def succeeds(self, dag: str, **options: Any) -> dict[str, Any]:
        """Run a DAG whose tasks all succeed, and return what they handed on."""
        ran = self.run(dag, **options)
        assert ran.states == dict.fromkeys(CHAINS[dag], "success"), self.said()
        assert ran.state == "success"
        return ran.handed_on

    def said(self) -> str:
        """Return the end of what Airflow and the tasks logged."""
        return self.log.read_text()[-5000:]


@pytest.fixture(scope="module")
def runner(broker: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("clockwork")
    log = folder / "log"
    with clockwork(broker, folder / "state") as made, log.open("w") as logged:
        loaded = made.stack.settings
        airflow.prepare(loaded)
        line = (*_script("airflow_runs"), str(DAGS))
        own = {**os.environ, **airflow.environment(loaded), **airflow.secrets(loaded)}
        pipe = subprocess.PIPE
        with (
            subprocess.Popen(
                line, env=own, stdin=pipe, stdout=pipe, stderr=logged, text=True
            ) as process,
            scorer(loaded, "fraud"),
            scorer(loaded, "recommender"),
        ):
            yield Runner(process, made, log)
            process.communicate(timeout=60)


def _script(name: str) -> tuple[str, str]:
    return str(Layout.of(Settings()).airflow_python), str(HERE / f"{name}.py")


def test_every_file_is_a_dag_with_limits_and_its_tasks_in_a_chain() -> None:
    line = (*_script("airflow_dags"), str(DAGS))
    own = {**os.environ, **airflow.environment(Settings())}
    done = subprocess.run(line, env=own, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert {name: list(dag["tasks"]) for name, dag in found["dags"].items()} == CHAINS
    schedules = {name: dag["schedule"] for name, dag in found["dags"].items()}
    assert schedules == {
        "build_marts": "10 * * * *",
        "check_data_quality": "30 2 * * *",
        "forecast_inventory": "30 3 * * *",
        "lake_upkeep": "0 1 * * *",
        "refresh_recommendations": "0 4 * * *",
        "retrain_fraud": "0 3 * * *",
    }
    for name, dag in found["dags"].items():
        assert (dag["catchup"], dag["most_at_once"]) == (False, 1)
        before: list[str] = []
        for task, made in dag["tasks"].items():
            assert made["after"] == before, f"{name}: {task}"
            assert made["told"], f"nobody hears of it when {task} fails"
            assert made["seconds"] <= dag["seconds"]
            assert made["retries"] == (0 if task in ("check", "checks", "validate") else 2)
            before = [task]


def test_a_retraining_that_the_gate_refuses_leaves_the_champion_and_one_that_passes_does_not(
    runner: Runner,
) -> None:
    stack, shelf = runner.clockwork.stack, runner.clockwork.shelf("fraud")
    champion = shelf.current()
    steps = runner.succeeds("retrain_fraud")
    extract, refused = steps["extract"], steps["promote"]
    window = extract["asked"]
    assert window["until"] - window["begin"] == stack.settings.retrain_days * 86_400_000
    kept = Run.of(stack.layout.retraining, "fraud", AT).frame()
    known = runner.clockwork.lake.frame(window["begin"], window["until"])
    assert extract["digest"] == kept.digest() == known.digest()
    assert refused["promoted"] is False
    assert any("average_precision" in reason for reason in refused["reasons"]), refused
    assert shelf.current() == champion == steps["confirm"]["version"]
    # As a person clears the last tasks of the run after the limits were made wider.
    before = "|".join(CHAINS["retrain_fraud"][:-2])
    again = runner.succeeds("retrain_fraud", done=before, worse_by=0.5)
    assert again["promote"]["promoted"] is True
    assert shelf.current() == again["confirm"]["version"] == refused["challenger"] != champion
    card = shelf.card(refused["challenger"])
    assert card.details["retraining"]["snapshots"] == extract["origin"]["snapshots"]


def test_the_order_of_recommendations_is_learnt_from_the_lakes_sessions(runner: Runner) -> None:
    steps = runner.succeeds("refresh_recommendations")
    assert steps["extract"]["sessions"] == 3000
    learnt, plain = steps["evaluate"]["metrics"], steps["evaluate"]["without"]
    better = all(learnt[name] >= plain[name] for name in ("hit_rate", "reciprocal_rank"))
    assert steps["promote"]["promoted"] is better
    current = steps["promote"]["challenger"] if better else None
    assert runner.clockwork.shelf("recommender").current() == current
    assert steps["confirm"]["version"] == current


def test_no_sales_are_no_failure_of_the_forecast(runner: Runner) -> None:
    assert runner.succeeds("forecast_inventory")["forecast"]


def test_marts_are_built(runner: Runner) -> None:
    built = runner.succeeds("build_marts")["build"]
    assert built["failed"] is False
    assert "daily_payments" in {one["name"] for one in built["nodes"]}
    ((count,),) = runner.clockwork.ask("select sum(payments) from gold.daily_payments")
    assert count == len(runner.clockwork.lake.data.payments)


def test_small_files_become_few(runner: Runner) -> None:
    done = runner.succeeds("lake_upkeep")["compact"]
    (files,) = (one["compacted"] for one in done if one["table"] == "bronze.fraud_labels")
    assert files["files_before"] == 4 * files["files_after"] > 0
    ((count,),) = runner.clockwork.ask("select count(*) from bronze.fraud_labels")
    assert count == len(runner.clockwork.lake.data.payments)


def test_the_checks_of_a_date_are_kept_as_its(runner: Runner) -> None:
    done = runner.succeeds("check_data_quality")["checks"]
    assert done["failed"] == 0
    query = "select subject, count(*), min(checked_at) from ops.data_quality group by 1"
    found = {subject: (count, at) for subject, count, at in runner.clockwork.ask(query)}
    wanted = [one for one in done["results"] if one["subject"] == "bronze.transactions"]
    assert found["bronze.transactions"] == (len(wanted), AT)
    day = int((AT - DAY).timestamp() * 1000)
    times = runner.clockwork.lake.data.payments.numbers("event_time")
    assert {one["rows"] for one in wanted if one["field"] == "amount"} == {
        int((times >= day).sum())
    }


def test_data_that_fail_a_check_stop_a_retraining_and_it_is_told(runner: Runner) -> None:
    shelf, settings = runner.clockwork.shelf("fraud"), runner.clockwork.stack.settings
    champion, known = shelf.current(), ends(settings, "alerts")
    ran = runner.run("retrain_fraud", AT + DAY)
    first, *rest = CHAINS["retrain_fraud"]
    assert ran.states == {first: "failed", **dict.fromkeys(rest, "upstream_failed")}
    assert ran.state == "failed"
    assert "bronze.fraud_features amount: finite, 1 of" in runner.log.read_text()
    assert shelf.current() == champion
    with Registry(settings.registry_url) as registry:
        alerts = until("the alert", lambda: read(settings, "alerts", Codec(registry), known))
    told = [one for one in alerts if one["kind"] == "dag-failed"]
    assert [(one["entity"], one["severity"], one["details"]["task"]) for one in told] == [
        ("retrain_fraud", "critical", first)
    ]
