"""Run DAGs in Airflow's environment, in this process: no scheduler, no API server.

Each line of the standard input asks for a run, as JSON: `dag`, `date` (ISO 8601), `done` (a regular
expression of tasks that count as done; null for none) and `environment` (what the tasks' commands
get besides). Each line of the standard output answers one: the run's state, its tasks' states, and
what each handed on. What Airflow logs, the tasks' output included, goes to the standard error.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import IO


def main(folder: Path, answers: IO[str]) -> None:
    """Make Airflow's tables, then answer until the input ends."""
    # Only now, as what it logs from its first import on must not be among the answers.
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.utils.db import initdb

    initdb()
    bag = BundleDagBag(folder, safe_mode=False, bundle_path=folder, bundle_name="dags-folder")
    for dag in bag.dags.values():
        for task in dag.tasks:
            task.retries = 0  # what fails at first is told at once
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.update(asked["environment"])
        date = datetime.fromisoformat(asked["date"])
        run = bag.dags[asked["dag"]].test(logical_date=date, mark_success_pattern=asked["done"])
        tasks = run.get_task_instances()
        told = {
            "state": run.state,
            "states": {one.task_id: one.state for one in tasks},
            "handed_on": {one.task_id: one.xcom_pull(task_ids=one.task_id) for one in tasks},
        }
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    main(Path(sys.argv[1]), own)
