"""Trainings by the API: a real process, one that dies, an API that restarts meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from config.settings import Settings
from orchestration.shelf.store import Store
from serving.anomalies import training
from serving.anomalies.jobs import COMMAND, BusyError, Jobs
from serving.api.app import create
from serving.api.context import Context
from tests.unit.serving.api_parts import KEY, MemoryValues

TRAIN = "/v1/anomalies/train"
SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")
ENDS = (sys.executable, "-c", "pass")


@asynccontextmanager
async def unniced(context: Context) -> AsyncIterator[None]:
    """Leave `nice` out: beside other tests a training would wait for minutes."""
    context.parts[training.PART]._command = COMMAND[3:]
    yield


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        state_dir=tmp_path,
        api_keys=SecretStr("key-one"),
    )
    context = Context(settings, MemoryValues(), codec=None)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(create(context, [training]), raise_app_exceptions=False)
    async with (
        training.lifespan(context),
        unniced(context),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=KEY) as client,
    ):
        yield client


def windows(count: int) -> list[dict[str, Any]]:
    rows = np.random.default_rng(1).normal(0, 1, (count, 2)).tolist()
    return [{"mean": one, "spread": other} for one, other in rows]


async def over(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    for _ in range(6000):
        found: dict[str, Any] = (await client.get(f"/api{TRAIN}/{job_id}")).json()
        if found["state"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError(found)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_model_is_trained_and_promoted_outside_the_api(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    asked = {"detector": "ocsvm", "windows": windows(100), "promote": True}
    answer = await client.post(TRAIN, json=asked)
    assert answer.status_code == 202
    found = await over(client, answer.json()["job_id"])
    assert (found["state"], found["done"], found["of"]) == ("succeeded", 1, 1)
    assert Store(tmp_path / "models" / "anomalies").current() == found["version"]
    listed = (await client.get(TRAIN)).json()["jobs"]
    assert listed == [found]


@pytest.mark.slow
@pytest.mark.anyio
async def test_what_cannot_be_learnt_from_fails_the_job(client: httpx.AsyncClient) -> None:
    answer = await client.post(TRAIN, json={"windows": windows(3)})
    found = await over(client, answer.json()["job_id"])
    assert found["state"] == "failed"
    assert "3 windows; training needs 50" in found["error"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "either"),
        ({"file": "x.csv", "windows": [{"a": 1.0}]}, "either"),
        ({"file": "absent.csv"}, "no file absent.csv"),
        ({"file": "../secrets.csv"}, "pattern"),
        ({"windows": [{"a": "x"}]}, "windows.0.a"),
        ({"file": "x.csv", "detector": "oracle"}, "detector"),
    ],
)
async def test_what_cannot_be_asked_is_a_problem(
    client: httpx.AsyncClient, asked: dict[str, Any], told: str
) -> None:
    answer = await client.post(TRAIN, json=asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]
    assert (await client.get(TRAIN)).json() == {"jobs": []}


@pytest.mark.anyio
async def test_an_unknown_job_is_not_found(client: httpx.AsyncClient) -> None:
    for name in ("x", "..", "%2e%2e"):
        answer = await client.get(f"{TRAIN}/{name}")
        assert answer.status_code == 404


def started(jobs: Jobs) -> tuple[str, subprocess.Popen[bytes]]:
    job = jobs.start("ocsvm", seed=7, promote=False, windows=[{"a": 1.0}])
    (process,) = jobs._started
    return job["job_id"], process


def test_a_job_outlives_the_api_and_has_failed_once_its_process_is_killed(tmp_path: Path) -> None:
    before = Jobs(tmp_path / "jobs", tmp_path / "shelf", SLEEPS)
    name, process = started(before)
    after = Jobs(tmp_path / "jobs", tmp_path / "shelf", SLEEPS)  # the API has restarted
    assert (after.job(name) or {})["state"] == "running"
    with pytest.raises(BusyError, match=name):
        after.start("ocsvm", seed=7, promote=False, windows=[])
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = after.job(name) or {}
    assert (found["state"], found["error"]) == ("failed", "the process died")


def test_a_process_that_ends_without_a_word_has_failed(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs", tmp_path / "shelf", ENDS)
    name, process = started(jobs)
    process.wait()
    assert (jobs.job(name) or {})["state"] == "failed"


def test_only_the_last_jobs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.anomalies.jobs.KEPT", 2)
    times = iter(range(1, 100))
    jobs = Jobs(tmp_path / "jobs", tmp_path / "shelf", ENDS, now=lambda: float(next(times)))
    names = []
    for _ in range(3):
        name, process = started(jobs)
        process.wait()
        jobs._started.clear()
        names.append(name)
    assert [one["job_id"] for one in jobs.listed()] == [names[2], names[1]]
