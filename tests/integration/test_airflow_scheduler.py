"""One DAG by Airflow's own processes, as the stack runs them: from trigger to done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from millrace.stack.harness import Stack
from millrace.stack.parts import airflow
from tests.integration.airflow_parts import AT, CHAINS, Clockwork, clockwork
from tests.integration.parts import until

DAG = "lake_upkeep"
# Else each DAG would do the last run that its schedule missed, beside the one asked for here.
QUIET = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}


@pytest.fixture
def running(broker: Stack, tmp_path: Path) -> Iterator[Clockwork]:
    with clockwork(broker, tmp_path / "state", QUIET) as made:
        made.stack.up("airflow")
        yield made


@pytest.mark.long
def test_the_scheduler_runs_a_dag_from_trigger_to_done(running: Clockwork) -> None:
    loaded = running.stack.settings
    with httpx.Client(base_url=airflow.url(loaded), timeout=60) as client:
        login = {"username": airflow.USER, "password": airflow.password(loaded)}
        token = client.post("/auth/token", json=login).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"

        def get(path: str) -> Any:
            answer = client.get(f"/api/v2/dags{path}")
            answer.raise_for_status()
            return answer.json()

        until(
            "Airflow knows every DAG",
            lambda: {one["dag_id"] for one in get("")["dags"]} == set(CHAINS),
            pause=1.0,
        )
        body = {"dag_run_id": "asked", "logical_date": AT.isoformat()}
        client.post(f"/api/v2/dags/{DAG}/dagRuns", json=body).raise_for_status()
        run = f"/{DAG}/dagRuns/asked"

        def ended() -> set[str]:
            return {get(run)["state"]} - {"queued", "running"}

        assert until(f"{DAG} has ended", ended, timeout=300, pause=1.0) == {"success"}
        tasks = get(f"{run}/taskInstances")["task_instances"]
        assert {one["task_id"]: one["state"] for one in tasks} == dict.fromkeys(
            CHAINS[DAG], "success"
        )
        path = f"{run}/taskInstances/compact/xcomEntries/return_value?stringify=false"
        compacted = {one["table"]: one["compacted"] for one in get(path)["value"]}
    files = compacted["bronze.fraud_labels"]
    assert files["files_before"] == 4 * files["files_after"] > 0
    ((count,),) = running.ask("select count(*) from bronze.fraud_labels")
    assert count == len(running.lake.data.payments)
