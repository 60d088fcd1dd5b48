"""Real Flink jobs around `rolling` and `sessionize`, for the tests of what they specify.

Runs in the flink environment.

    .venv-flink/bin/python tests/integration/rolling_job.py JOBS.json

JOBS.json: {"jobs": [{"parallelism", "runs": [{"name", "input", "output", "columns": [[name, SQL
type]], "computed": [[name, SQL]], "steps": [{"function", "spec": {…}, "key": [column], "where"}],
"select": [SQL]}]}]}. A step's function is `rolling` unless it says otherwise.
Each job in turn; all its runs at once. A run reads the JSON lines of `input` in order, adds the
computed columns, passes the rows through each step's function and writes `select` as JSON lines
below `output`. Doubles go in as strings (NaN and -0.0 too) and come out as Java prints them: both
ways exact. The kernel's jar is in FLINK_LIB_DIR, as on the cluster.

A job with "resumed", a parallelism, and "savepoints", a folder, is stopped with a savepoint when
each of its runs has written `lines[0]` lines, and resumed from it, "pause" seconds later if it says
so. Its runs' `input` is a folder, to which `later` is added in between; the end is at `lines[1]`
lines. "changed" of a run has its "steps" and "select" from then on, "options" of the job more of
Flink's.
"""
# ruff: noqa: S608 - a test's own names

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pyflink.common import JobClient
from pyflink.java_gateway import get_gateway
from pyflink.table import Table, TableDescriptor, TableEnvironment, TableResult

from processing.session import session

OPTIONS = {
    "state.backend.type": "rocksdb",
    "state.backend.rocksdb.use-bloom-filter": "true",
    # Checkpoints while rows flow: what is in memory only shows.
    "execution.checkpointing.interval": "1 s",
    # A refusal of the kernel ends the job and is told; Flink would try again for ever.
    "restart-strategy.type": "none",
    "taskmanager.memory.managed.size": "256m",
}
_PATIENCE_S = 240


def kept(folder: Path) -> dict[str, str]:
    """Return the option that keeps checkpoints below `folder`.

    That is where a stack keeps them. In the JobManager's memory, a mini cluster's default, a state
    may have 5 MB.
    """
    return {"execution.checkpointing.dir": (folder / "checkpoints").as_uri()}


def through(environment: TableEnvironment, run: dict[str, Any], more: str = "") -> Table:
    """The run's rows after all its steps; `more` are further options of its source."""
    name = run["name"]
    columns = ", ".join(f"`{column}` {kind}" for column, kind in run["columns"])
    environment.execute_sql(
        f"CREATE TEMPORARY TABLE `{name}_in` ({columns}) "
        f"WITH ('connector' = 'filesystem', 'path' = 'file://{run['input']}', "
        f"'format' = 'json'{more})"
    )
    computed = "".join(f", {sql} AS `{column}`" for column, sql in run.get("computed", []))
    table = environment.sql_query(f"SELECT *{computed} FROM `{name}_in`")
    for at, step in enumerate(run["steps"]):
        environment.create_temporary_view(f"{name}_{at}", table)
        keys = ", ".join(f"`{column}`" for column in step["key"])
        spec = json.dumps(step["spec"], ensure_ascii=False).replace("'", "''")
        table = environment.sql_query(
            f"SELECT * FROM {step.get('function', 'rolling')}("
            f"`in` => TABLE `{name}_{at}` PARTITION BY ({keys}), spec => '{spec}', "
            f"uid => '{name}-{at}') {step.get('where', '')}"
        )
    environment.create_temporary_view(f"{name}_out", table)
    return environment.sql_query(f"SELECT {', '.join(run['select'])} FROM `{name}_out`")


def start(
    runs: list[dict[str, Any]], parallelism: int, options: dict[str, str], more: str = ""
) -> TableResult:
    """Submit one Flink job of all the runs."""
    environment = session("rolling-specification")
    slots = {
        "parallelism.default": str(parallelism),
        "taskmanager.numberOfTaskSlots": str(parallelism),
    }
    for key, value in {**OPTIONS, **slots, **options}.items():
        environment.get_config().set(key, value)
    statements = environment.create_statement_set()
    for run in runs:
        sink = (
            TableDescriptor.for_connector("filesystem")
            .option("path", f"file://{run['output']}")
            .format("json")
        )
        statements.add_insert(sink.build(), through(environment, run, more))
    return statements.execute()


def half(job: dict[str, Any], at: int, savepoint: str) -> str:
    """Run from a savepoint, or '' for none, until `lines[at]` lines are there.

    Stop with the savepoint returned.

    Raises the job's exception if it fails and TimeoutError if the lines do not come.
    """
    # Operators are found again by what they are chained to, and that changes with the parallelism.
    options = {"pipeline.operator-chaining.enabled": "false", **job.get("options", {})}
    runs, parallelism = job["runs"], job["parallelism"]
    if savepoint:
        options["execution.state-recovery.path"] = savepoint
        runs, parallelism = [run | run.get("changed", {}) for run in runs], job["resumed"]
    client = start(
        runs, parallelism, options, ", 'source.monitor-interval' = '200 ms'"
    ).get_job_client()
    assert client is not None
    for run in job["runs"]:
        _await(client, run, run["lines"][at])
    form = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.NATIVE
    # The end drained: files that are still being written are closed then.
    stopped = client._j_job_client.stopWithSavepoint(at == 1, job["savepoints"], form)
    return str(stopped.get())


def _await(client: JobClient, run: dict[str, Any], lines: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (there := _lines(Path(run["output"]))) < lines:
        if client._j_job_client.getJobStatus().get().isGloballyTerminalState():
            client.get_job_execution_result().result()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{run['name']}: {there} of {lines} rows came out")
        time.sleep(0.1)


def _lines(output: Path) -> int:
    return sum(part.read_bytes().count(b"\n") for part in output.rglob("*") if part.is_file())


def halves(job: dict[str, Any]) -> None:
    """The first half of the rows, a savepoint, and the second half from there."""
    savepoint = half(job, 0, "")
    time.sleep(job.get("pause", 0))
    for run in job["runs"]:
        Path(run["later"]).rename(Path(run["input"]) / "later.json")
    half(job, 1, savepoint)


def main(jobs_file: str) -> None:
    """Run every job of the file to its end."""
    file = Path(jobs_file)
    for job in json.loads(file.read_text())["jobs"]:
        options = {**kept(file.parent), **job.get("options", {})}
        if "resumed" in job:
            halves({**job, "options": options})
        else:
            start(job["runs"], job["parallelism"], options).wait()


if __name__ == "__main__":
    main(sys.argv[1])
