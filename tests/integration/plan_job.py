"""Prints a job's plan, for test_job_plans.py. Runs in the flink environment: plan_job.py JOB..."""

from __future__ import annotations

import importlib
import sys

from processing.session import session


def main(*names: str) -> None:
    """Print the plan of each job."""
    for name in names:
        job = importlib.import_module(f"processing.jobs.{name}")
        environment = session(job.JOB, getattr(job, "OPTIONS", None))
        sys.stdout.write(f"=== {name}\n{job.topology(environment).explain()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
