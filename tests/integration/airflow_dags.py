"""Tell, in Airflow's environment, what it makes of the DAG files in the folder of its settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag


def main(folder: Path) -> None:
    """Print the errors of imports and the DAGs, as JSON on the last line."""
    # Not the safe mode: it passes over a file in silence whose text does not look like a DAG's.
    bag = BundleDagBag(folder, safe_mode=False, bundle_path=folder, bundle_name="dags-folder")
    dags = {
        name: {
            "schedule": dag.timetable.expression,
            "catchup": dag.catchup,
            "most_at_once": dag.max_active_runs,
            "seconds": dag.dagrun_timeout.total_seconds(),
            "tasks": {
                task.task_id: {
                    "after": sorted(task.upstream_task_ids),
                    "retries": task.retries,
                    "seconds": task.execution_timeout.total_seconds(),
                    "told": bool(task.on_failure_callback),
                    "command": task.bash_command,
                }
                for task in dag.topological_sort()
            },
        }
        for name, dag in bag.dags.items()
    }
    print(json.dumps({"errors": bag.import_errors, "dags": dags}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
