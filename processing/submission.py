"""Submit jobs to a session cluster, all of them from one process.

    python -m processing.submission ANSWERS.jsonl < REQUESTS.jsonl

Runs in the flink environment, with Flink's folders in the environment (FLINK_CONF_DIR,
FLINK_LIB_DIR). A request is a line of JSON with a job's "name" and "module". With "options" (Flink
settings of this submission) it is submitted and answered by a line of ANSWERS.jsonl: {"name", "id"}
or {"name", "error"}. Without, it is only compiled, which needs no cluster: a later submission of
the job is then quicker. A job that fails does not prevent the others from being submitted.

`module` has the job's `topology` and may have `OPTIONS`, Flink settings of this job alone; those of
the request come last. With `PYTHON = True` its topology has streams, which pass through functions
in Python (processing/streams.py). A client is a JVM that loads Flink's planner: that is most of the
cost of a submission, and it is paid once.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.plan import clocked, named
from processing.session import session
from processing.streams import configure, start

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment


class Client:
    """Compile and submit jobs, with the configuration of a cluster."""

    def __init__(self, cluster: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._compiled: dict[str, tuple[TableEnvironment, str | StatementSet]] = {}

    def compile(self, job: Mapping[str, Any]) -> None:
        """Keep the plan of a job, or the topology of one with streams, for its submission."""
        module = importlib.import_module(job["module"])
        python = bool(getattr(module, "PYTHON", False))
        options = {
            **self._cluster,
            **getattr(module, "OPTIONS", {}),
            **job.get("options", {}),
            "execution.target": "remote",
        }
        environment = session(job["name"], options, python=python)
        statements = module.topology(environment)
        self._compiled[job["name"]] = (environment, statements if python else compiled(statements))

    def submit(self, job: Mapping[str, Any]) -> str:
        """Submit a job, compiled before or now; return its id."""
        if job["name"] not in self._compiled:
            self.compile(job)
        environment, plan = self._compiled.pop(job["name"])
        if not isinstance(plan, str):
            configure(environment, job["options"])
            return start(environment, plan, job["name"])
        for key, value in job["options"].items():
            environment.get_config().set(key, value)
        return execute(environment, plan)


def compiled(statements: StatementSet) -> str:
    """Return the statements' plan, as JSON, with names of operators that stay."""
    return json.dumps(named(clocked(json.loads(statements.compile_plan().as_json_string()))))


def execute(environment: TableEnvironment, plan: str) -> str:
    """Start a plan as one job; return its id."""
    from pyflink.table import PlanReference

    reference = PlanReference.from_json_string(plan)
    # PyFlink 2.1's execute_plan fails: it calls a method of its own on the Java environment.
    result = environment._j_tenv.loadPlan(reference._j_plan_reference).execute()
    return str(result.getJobClient().get().getJobID().toString())


def run(
    job: str,
    topology: Callable[[TableEnvironment], StatementSet],
    options: Mapping[str, str] | None = None,
    *,
    python: bool = False,
) -> None:
    """Submit a job as `flink run -py FILE` starts it: cluster and savepoint are the command line's.

    Its operators have the names that they have when the stack submits it, so that a savepoint of
    the one starts the other.
    """
    environment = session(job, options, python=python)
    if python:
        start(environment, topology(environment), job)
    else:
        execute(environment, compiled(topology(environment)))


def _cluster() -> dict[str, str]:
    """Return the cluster's configuration, as `flink run` reads it from FLINK_CONF_DIR."""
    from pyflink.java_gateway import get_gateway

    loaded = get_gateway().jvm.org.apache.flink.configuration.GlobalConfiguration
    return {str(key): str(value) for key, value in loaded.loadConfiguration().toMap().items()}


def main(requests: Iterable[str], answers: Path) -> None:
    """Handle each request as its line comes, in order, until there are no more."""
    client = Client(_cluster())
    with answers.open("a", encoding="utf-8") as told:
        for line in requests:
            job = json.loads(line)
            if "options" not in job:
                # A job that cannot be compiled is reported when it is submitted.
                with suppress(Exception):
                    client.compile(job)
                continue
            try:
                answer = {"name": job["name"], "id": client.submit(job)}
            except Exception:
                answer = {"name": job["name"], "error": traceback.format_exc()}
            told.write(json.dumps(answer) + "\n")
            told.flush()


if __name__ == "__main__":
    main(sys.stdin, Path(sys.argv[1]))
