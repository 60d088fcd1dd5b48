"""The DAGs, really run: Airflow's own processes, the real commands, a small lake.

Airflow runs as the stack runs it, on ports and in a folder of its own. A scorer's page of metrics
stands in for the consumer; alerts go to the Kafka of the session's stack.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from config.health import serve
from config.products import consumers
from config.settings import ROOT, Settings
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from lakehouse.catalog import catalog
from lakehouse.query import ask, connect
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from millrace.stack.layout import Layout
from millrace.stack.parts import airflow
from orchestration.retraining.handover import Run
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.consumers.health import Health
from serving.consumers.models import ModelInfo
from tests.integration.parts import ends, read, until
from tests.integration.small_lake import VECTORS, SmallLake, append, fill

AT = datetime(2018, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CHAINS = {
    "build_marts": ["build"],
    "check_data_quality": ["checks"],
    "forecast_inventory": ["forecast"],
    "lake_upkeep": ["compact", "expire", "orphans"],
    "retrain_fraud": [
        *("check", "extract", "validate", "train", "evaluate", "register", "promote", "confirm")
    ],
}


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Airflow, running; asked by its API."""

    stack: Stack
    client: httpx.Client
    lake: SmallLake

    @property
    def shelf(self) -> Store:
        return Store(self.stack.layout.models / "fraud")

    def knows_all(self) -> bool:
        """Return whether the files of all DAGs have been read."""
        return {one["dag_id"] for one in self.get("/api/v2/dags")["dags"]} == set(CHAINS)

    def trigger(self, dag: str, at: datetime) -> str:
        """Begin a run of a logical date and return its path."""
        body = {"dag_run_id": f"of-{at:%Y%m%d}", "logical_date": at.isoformat()}

        def begun() -> bool:
            made = self.client.post(f"/api/v2/dags/{dag}/dagRuns", json=body)
            assert made.status_code in (200, 409) or made.status_code >= 500, made.text
            return made.status_code < 500

        until(f"{dag} has begun", begun, pause=1.0)
        return f"/api/v2/dags/{dag}/dagRuns/{body['dag_run_id']}"

    def get(self, path: str) -> Any:
        def answered() -> httpx.Response | None:
            answer = self.client.get(path)
            # Its tables are in SQLite, which may be locked for longer than it waits.
            return answer if answer.status_code < 500 else None

        answer: httpx.Response = until(f"an answer to {path}", answered, pause=1.0)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, run: str) -> str:
        """Wait for a run's end and return its state; a task that was not done at first fails."""

        def states() -> set[str]:
            again = {one for one, state in self.states(run).items() if state == "up_for_retry"}
            assert not again, "\n".join(self.log(run, one) for one in again)
            return {self.get(run)["state"]} - {"queued", "running"}

        return str(until(f"{run} has ended", states, timeout=300, pause=1.0).pop())

    def states(self, run: str) -> dict[str, str]:
        """Return the states of a run's tasks."""
        tasks = self.get(f"{run}/taskInstances")["task_instances"]
        return {one["task_id"]: one["state"] for one in tasks}

    def handed_on(self, run: str, task: str) -> Any:
        """Return the JSON that a task's command ended with."""
        path = f"{run}/taskInstances/{task}/xcomEntries/return_value"
        return self.get(f"{path}?stringify=false")["value"]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        loaded = self.stack.settings
        lake = catalog(loaded)
        try:
            with connect(loaded.lake_memory, loaded.lake_spill) as con:
                return list(ask(con, lake, query).rows)
        finally:
            lake.engine.dispose()  # type: ignore[attr-defined]

    def log(self, run: str, task: str) -> str:
        return self.client.get(f"{run}/taskInstances/{task}/logs/1").text


@pytest.fixture(scope="module")
def clockwork(harness: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clockwork]:
    elsewhere = {
        "MILLRACE_KAFKA_BOOTSTRAP_OVERRIDE": harness.settings.kafka_bootstrap,
        "MILLRACE_REGISTRY_URL_OVERRIDE": harness.settings.registry_url,
        "MILLRACE_RETRAIN_ROWS": "100",
        "MILLRACE_RETRAIN_FRAUDS": "5",
        # Else each DAG would do the last run that its schedule missed, beside those asked for here.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    }
    folder = tmp_path_factory.mktemp("clockwork") / "state"
    with shifted(folder, offset=SECOND_OFFSET, environ=elsewhere) as stack:
        loaded = stack.settings
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Parquet writer option")
            lake = fill(loaded)
            _spoil(loaded)
        stack.up("airflow")
        with httpx.Client(base_url=airflow.url(loaded), timeout=30) as client:
            login = {"username": airflow.USER, "password": airflow.password(loaded)}
            token = client.post("/auth/token", json=login).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            clockwork = Clockwork(stack, client, lake)
            until("Airflow knows every DAG", clockwork.knows_all)
            with _scorer(loaded):
                yield clockwork


def _spoil(loaded: Settings) -> None:
    """Log one vector of the day after that no check lets through."""
    lake = catalog(loaded)
    wrong = {
        "transaction_id": "wrong",
        "event_time": int((AT + DAY / 2).timestamp() * 1000),
        "customer_id": "c",
        "terminal_id": "k",
        "amount": float("nan"),
    }
    append(lake, VECTORS, [wrong], [1_000_000])
    lake.engine.dispose()  # type: ignore[attr-defined]


@contextmanager
def _scorer(loaded: Settings) -> Iterator[None]:
    """Watch the shelf as the fraud consumer does, and show its model where that one would."""
    stop, registry = threading.Event(), CollectorRegistry()
    folder = Layout.of(loaded).models / "fraud"
    folder.mkdir(parents=True, exist_ok=True)
    shelf: Shelf[Any] = Shelf(folder, lambda card, predictor: predictor, "train")
    shelf.watch(0.2, stop)
    registry.register(ModelInfo("fraud", shelf))
    port = consumers()["fraud"].port + loaded.port_offset
    page = serve(loaded.host, port, Health(lambda: 0.0), lambda: generate_latest(registry))
    try:
        yield
    finally:
        stop.set()
        page.shutdown()
        page.server_close()


@pytest.fixture(scope="module")
def runs(clockwork: Clockwork) -> dict[str, str]:
    """A run of each DAG at one date, all at once, from trigger to done; by name."""
    begun = {dag: clockwork.trigger(dag, AT) for dag in CHAINS}
    for run in begun.values():
        assert clockwork.ended(run) == "success", clockwork.states(run)
    return begun


def test_every_file_is_a_dag_with_limits_and_its_tasks_in_a_chain() -> None:
    script = ROOT / "tests" / "integration" / "airflow_dags.py"
    loaded = Settings()
    line = (str(Layout.of(loaded).airflow_python), str(script), str(ROOT / "orchestration/dags"))
    own = {**os.environ, **airflow.environment(loaded)}
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


@pytest.mark.long
def test_a_retraining_goes_from_the_lake_to_the_scorer(
    clockwork: Clockwork, runs: dict[str, str]
) -> None:
    stack, run = clockwork.stack, runs["retrain_fraud"]
    assert clockwork.states(run) == dict.fromkeys(CHAINS["retrain_fraud"], "success")
    extract, promote = (clockwork.handed_on(run, one) for one in ("extract", "promote"))
    window = extract["asked"]
    assert window["until"] - window["begin"] == stack.settings.retrain_days * 86_400_000
    kept = Run.of(stack.layout.retraining, "fraud", AT).frame()
    known = clockwork.lake.frame(window["begin"], window["until"])
    assert extract["digest"] == kept.digest() == known.digest()
    assert promote["promoted"] is True
    assert clockwork.shelf.current() == promote["challenger"]
    assert clockwork.handed_on(run, "confirm")["version"] == promote["challenger"]
    card = clockwork.shelf.card(promote["challenger"])
    assert card.details["retraining"]["snapshots"] == extract["origin"]["snapshots"]


@pytest.mark.long
def test_marts_are_built(clockwork: Clockwork, runs: dict[str, str]) -> None:
    built = clockwork.handed_on(runs["build_marts"], "build")
    assert built["failed"] is False
    assert "daily_payments" in {one["name"] for one in built["nodes"]}
    ((count,),) = clockwork.ask("select sum(payments) from gold.daily_payments")
    assert count == len(clockwork.lake.data.payments)


@pytest.mark.long
def test_small_files_become_few(clockwork: Clockwork, runs: dict[str, str]) -> None:
    done = clockwork.handed_on(runs["lake_upkeep"], "compact")
    (files,) = (one["compacted"] for one in done if one["table"] == "bronze.fraud_labels")
    assert files["files_before"] == 4 * files["files_after"] > 0
    ((count,),) = clockwork.ask("select count(*) from bronze.fraud_labels")
    assert count == len(clockwork.lake.data.payments)


@pytest.mark.long
def test_the_checks_of_a_date_are_kept_as_its(clockwork: Clockwork, runs: dict[str, str]) -> None:
    done = clockwork.handed_on(runs["check_data_quality"], "checks")
    assert done["failed"] == 0
    query = "select subject, count(*), min(checked_at) from ops.data_quality group by 1"
    found = {subject: (count, at) for subject, count, at in clockwork.ask(query)}
    wanted = [one for one in done["results"] if one["subject"] == "bronze.transactions"]
    assert found["bronze.transactions"] == (len(wanted), AT)
    day = int((AT - DAY).timestamp() * 1000)
    times = clockwork.lake.data.payments.numbers("event_time")
    assert {one["rows"] for one in wanted if one["field"] == "amount"} == {
        int((times >= day).sum())
    }


@pytest.mark.long
def test_data_that_fail_a_check_stop_a_retraining_and_it_is_told(
    clockwork: Clockwork, runs: dict[str, str]
) -> None:
    champion, settings = clockwork.shelf.current(), clockwork.stack.settings
    known = ends(settings, "alerts")
    run = clockwork.trigger("retrain_fraud", AT + DAY)
    assert clockwork.ended(run) == "failed"
    first, *rest = CHAINS["retrain_fraud"]
    assert clockwork.states(run) == {first: "failed", **dict.fromkeys(rest, "upstream_failed")}
    assert "bronze.fraud_features amount: finite, 1 of" in clockwork.log(run, first)
    assert clockwork.shelf.current() == champion
    with Registry(settings.registry_url) as registry:
        alerts = until("the alert", lambda: read(settings, "alerts", Codec(registry), known))
    told = [one for one in alerts if one["kind"] == "dag-failed"]
    assert [(one["entity"], one["severity"], one["details"]["task"]) for one in told] == [
        ("retrain_fraud", "critical", first)
    ]
