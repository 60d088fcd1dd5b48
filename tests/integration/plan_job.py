"""Prints a job's plan, for test_job_plans.py. Runs in the flink environment: plan_job.py JOB..."""

from __future__ import annotations

import importlib
import json
import sys

from processing.session import session
from processing.submission import compiled


def main(*names: str) -> None:
    """Print the plan of each job."""
    for name in names:
        job = importlib.import_module(f"processing.jobs.{name}")
        environment = session(job.JOB, getattr(job, "OPTIONS", None))
        statements = job.topology(environment)
        plan = statements.explain()
        sys.stdout.write(f"=== {name}\n{plan}\n")
        if "MiniBatchAssigner" in plan:
            # As it is submitted: what `explain` prints is the planner's own choice.
            batches = [
                node["miniBatchInterval"]["mode"]
                for node in json.loads(compiled(statements))["nodes"]
                if "miniBatchInterval" in node
            ]
            sys.stdout.write(f"submitted mini-batches: {' '.join(sorted(set(batches)))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
