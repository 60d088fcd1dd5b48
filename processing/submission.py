"""Submit jobs to a session cluster, all of them from one process.

    python -m processing.submission REQUEST.json ANSWERS.jsonl

Runs in the flink environment, with Flink's folders in the environment (FLINK_CONF_DIR,
FLINK_LIB_DIR). REQUEST.json: [{"name", "module", "options": {…}}], in the order they are to be
submitted. `module` has the job's `topology` and may have `OPTIONS`, Flink settings of this job
alone; those of the request come last. Each job is answered by a line of ANSWERS.jsonl as soon as it
has been handled: {"name", "id"} or {"name", "error"}. A job that fails does not prevent the others
from being submitted.

A client is a JVM that loads Flink's planner: that is most of the cost of a submission, and it is
paid once.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.plan import named
from processing.session import session

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment


def submit(job: Mapping[str, Any], cluster: Mapping[str, str]) -> str:
    """Submit one job of a request to the cluster with that configuration; return its id."""
    module = importlib.import_module(job["module"])
    options = {**cluster, **getattr(module, "OPTIONS", {}), **job["options"]}
    environment = session(job["name"], {**options, "execution.target": "remote"})
    return execute(environment, module.topology(environment))


def execute(environment: TableEnvironment, statements: StatementSet) -> str:
    """Start the statements as one job whose operators have names that stay; return its id."""
    from pyflink.table import PlanReference

    plan = named(json.loads(statements.compile_plan().as_json_string()))
    reference = PlanReference.from_json_string(json.dumps(plan))
    # PyFlink 2.1's execute_plan fails: it calls a method of its own on the Java environment.
    result = environment._j_tenv.loadPlan(reference._j_plan_reference).execute()
    return str(result.getJobClient().get().getJobID().toString())


def run(
    job: str,
    topology: Callable[[TableEnvironment], StatementSet],
    options: Mapping[str, str] | None = None,
) -> None:
    """Submit a job as `flink run -py FILE` starts it: cluster and savepoint are the command line's.

    Its operators have the names that they have when the stack submits it, so that a savepoint of
    the one starts the other.
    """
    environment = session(job, options)
    execute(environment, topology(environment))


def _cluster() -> dict[str, str]:
    """Return the cluster's configuration, as `flink run` reads it from FLINK_CONF_DIR."""
    from pyflink.java_gateway import get_gateway

    loaded = get_gateway().jvm.org.apache.flink.configuration.GlobalConfiguration
    return {str(key): str(value) for key, value in loaded.loadConfiguration().toMap().items()}


def main(request: Path, answers: Path) -> None:
    """Submit every job of the request, in order."""
    cluster = _cluster()
    with answers.open("a", encoding="utf-8") as told:
        for job in json.loads(request.read_text(encoding="utf-8")):
            try:
                answer = {"name": job["name"], "id": submit(job, cluster)}
            except Exception:
                answer = {"name": job["name"], "error": traceback.format_exc()}
            told.write(json.dumps(answer) + "\n")
            told.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
