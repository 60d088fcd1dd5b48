"""Make tasks of Millrace's commands: what every DAG beside this module is built from.

Airflow has an environment of its own, so these files import Airflow and the standard library alone,
and a task is a command of the application's environment. The last line that the command prints is
its JSON, which becomes the task's result.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator

ROOT = Path(__file__).resolve().parents[2]
# The logical date. A run that a person starts may have none: then it is when it was asked for.
MOMENT = "{{ (dag_run.logical_date or dag_run.run_after).isoformat() }}"
# Before all data: a run of an earlier date would have no task at all, and succeed.
START = datetime(2018, 1, 1, tzinfo=UTC)
_OWN = (str(ROOT / ".venv" / "bin" / "python"), "-m", "millrace.cli.main")
_ALERT_S = 60

log = logging.getLogger(__name__)


def millrace() -> list[str]:
    """Return the words that start the application's command line."""
    return shlex.split(os.environ.get("MILLRACE_COMMAND", "")) or list(_OWN)


def step(
    name: str, *arguments: str, minutes: float = 30, retries: int = 2, **options: Any
) -> BashOperator:
    """Return a task that runs `millrace ARGUMENTS…` and hands on its JSON.

    It is stopped after `minutes`. What is not worth another try has `retries` 0.
    """
    return BashOperator(
        task_id=name,
        # Quoted, so that what a template puts in stays one word.
        bash_command="exec " + shlex.join([*millrace(), *arguments]),
        cwd=str(ROOT),
        output_processor=result,
        execution_timeout=timedelta(minutes=minutes),
        retries=retries,
        **options,
    )


def retraining(product: str) -> list[BashOperator]:
    """Return the steps of a product's retraining, in their order."""
    at = (product, "--at", MOMENT)
    return [
        # Data that do not pass do not get better by asking again.
        step("check", "retrain", "check", *at, retries=0),
        step("extract", "retrain", "extract", *at, minutes=60),
        step("validate", "retrain", "validate", *at, retries=0),
        step("train", "retrain", "train", *at, minutes=60),
        step("evaluate", "retrain", "evaluate", *at, minutes=60),
        step("register", "retrain", "register", *at),
        step("promote", "retrain", "promote", *at),
        step("confirm", "retrain", "confirm", product),
    ]


def result(line: str) -> Any:
    """Return the JSON of a command's last line. Raise ValueError, showing it, if it is none."""
    try:
        return json.loads(line)
    except ValueError:
        raise ValueError(f"the command ended with no JSON: {line[:500]!r}") from None


def alert(context: Mapping[str, Any]) -> None:
    """Tell people that a task failed for good: a log line, and a record on the topic `alerts`.

    Where the stack does not run, the line alone: an alert must not fail on top of the failure.
    """
    task = context["task_instance"]
    run = context["dag_run"]
    moment = (run.logical_date or run.run_after).isoformat()
    told = {"dag": task.dag_id, "task": task.task_id, "run": run.run_id, "date": moment}
    log.error("task failed %s %s", json.dumps(told), context.get("exception"))
    words = f"{task.dag_id} failed at {task.task_id} for {moment}"
    details = [f"--detail={name}={value}" for name, value in told.items()]
    line = (
        *("alert", "raise", task.dag_id, "--kind", "dag-failed", "--severity", "critical"),
        *("--at", moment, "--message", words, *details),
    )
    try:
        done = subprocess.run(
            [*millrace(), *line],
            cwd=ROOT,
            timeout=_ALERT_S,
            check=False,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("alert not sent: %s", error)
        return
    if done.returncode:
        log.warning("alert not sent: %s", done.stderr.strip()[-500:])


DEFAULTS: dict[str, Any] = {
    "owner": "millrace",
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "on_failure_callback": alert,
}
