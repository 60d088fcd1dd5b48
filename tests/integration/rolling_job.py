"""A real Flink job around `rolling`, for test_rolling_specification.py. Runs in the flink environment.

    .venv-flink/bin/python tests/integration/rolling_job.py JOB.json

JOB.json: {"runs": [{"name", "input", "output", "columns": [[name, SQL type]], "computed": [[name, SQL]],
"steps": [{"spec": {…}, "key", "where"}], "select": [SQL]}]}. Each run reads the JSON lines of `input` in order, adds
the computed columns, passes the rows through each step's `rolling` and writes `select` as JSON lines below `output`.
Doubles go in as strings (NaN and -0.0 too) and come out as Java prints them: both ways exact. The kernel's jar is in
FLINK_LIB_DIR, as on the cluster.
"""
# ruff: noqa: S608 - a test's own names

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyflink.table import Table, TableDescriptor, TableEnvironment

from processing.session import session

_OPTIONS = {
    "parallelism.default": "1",
    "state.backend.type": "rocksdb",
    "state.backend.rocksdb.use-bloom-filter": "true",
    # Checkpoints while rows flow: what is in memory only shows.
    "execution.checkpointing.interval": "1 s",
    "taskmanager.memory.managed.size": "256m",
    "taskmanager.numberOfTaskSlots": "1",
}


def through(environment: TableEnvironment, run: dict[str, Any]) -> Table:
    """The run's rows after all its steps."""
    name = run["name"]
    columns = ", ".join(f"`{column}` {kind}" for column, kind in run["columns"])
    environment.execute_sql(
        f"CREATE TEMPORARY TABLE `{name}_in` ({columns}) "
        f"WITH ('connector' = 'filesystem', 'path' = 'file://{run['input']}', 'format' = 'json')"
    )
    computed = "".join(f", {sql} AS `{column}`" for column, sql in run.get("computed", []))
    table = environment.sql_query(f"SELECT *{computed} FROM `{name}_in`")
    for at, step in enumerate(run["steps"]):
        environment.create_temporary_view(f"{name}_{at}", table)
        spec = json.dumps(step["spec"], ensure_ascii=False).replace("'", "''")
        table = environment.sql_query(
            f"SELECT * FROM rolling(`in` => TABLE `{name}_{at}` PARTITION BY (`{step['key']}`), "
            f"spec => '{spec}', uid => '{name}-{at}') {step.get('where', '')}"
        )
    environment.create_temporary_view(f"{name}_out", table)
    return environment.sql_query(f"SELECT {', '.join(run['select'])} FROM `{name}_out`")


def main(job_file: str) -> None:
    """Run every run of the job file in one Flink job, and wait for its end."""
    job = json.loads(Path(job_file).read_text())
    environment = session("rolling-specification")
    for key, value in _OPTIONS.items():
        environment.get_config().set(key, value)
    statements = environment.create_statement_set()
    for run in job["runs"]:
        sink = TableDescriptor.for_connector("filesystem").option("path", f"file://{run['output']}").format("json")
        statements.add_insert(sink.build(), through(environment, run))
    statements.execute().wait()


if __name__ == "__main__":
    main(sys.argv[1])
