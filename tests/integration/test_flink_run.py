"""A job file is what `flink run` takes, on any session cluster."""

from __future__ import annotations

import subprocess

import pytest

from config.settings import ROOT, Settings
from millrace.flink import jobs, rest
from millrace.flink.client import environment
from millrace.stack.harness import Stack
from tests.integration.parts import until

JOB = "business_metrics"


@pytest.mark.timeout(400)
def test_a_job_runs_by_flink_run_from_a_savepoint_of_the_stack_s(
    harness: Stack, stack: Settings
) -> None:
    savepoint = jobs.stop(stack, JOB)
    flink = harness.layout.flink_home / "bin" / "flink"
    line = ["run", "--detached", "--jobmanager", f"{stack.host}:{stack.port('flink_rest')}"]
    line += ["--fromSavepoint", str(savepoint), "--pyExecutable", str(harness.layout.flink_python)]
    line += ["--pyClientExecutable", str(harness.layout.flink_python)]
    file = ROOT / "processing" / "jobs" / f"{JOB}.py"
    done = subprocess.run(
        [flink, *line, "--python", file],
        env={**environment(stack), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    until("it runs", lambda: any(j.name == JOB and j.running for j in rest.listing(stack)))
    jobs.stop(stack, JOB)
    harness.cli("jobs", "submit", JOB)
    harness.wait_ready("jobs")
