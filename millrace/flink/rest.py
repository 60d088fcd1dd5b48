"""Read the cluster's jobs from its REST interface."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from config.errors import RetryableError
from config.settings import Settings

LIVING = {
    "CREATED",
    "INITIALIZING",
    "RUNNING",
    "FAILING",
    "RESTARTING",
    "SUSPENDED",
    "RECONCILING",
    "CANCELLING",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job, submitted `age_s` seconds ago. `state` is Flink's word.

    `checkpoints` counts those completed; the last one's path and age in seconds follow.
    """

    name: str
    id: str
    age_s: float
    state: str
    tasks: int
    tasks_running: int
    restarts: int
    checkpoints: int
    checkpoints_failed: int
    checkpoint_path: str | None
    checkpoint_age_s: float | None

    @property
    def running(self) -> bool:
        """Return whether every task runs."""
        return self.state == "RUNNING" and self.tasks > 0 and self.tasks_running == self.tasks


def rest(
    settings: Settings,
    path: str,
    body: dict[str, Any] | None = None,
    timeout: float = 5.0,
    method: str | None = None,
) -> Any:
    """Send a GET, a POST if there is a body, or `method`, and return the answer.

    Raise RetryableError if the JobManager is away or refuses.
    """
    data = None if body is None else json.dumps(body).encode()
    request = Request(  # noqa: S310 - the URL is ours
        f"{settings.flink_rest}{path}",
        data=data,
        headers={"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urlopen(request, timeout=timeout) as answer:  # noqa: S310 - the URL is ours
            return json.load(answer)
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise RetryableError(f"JobManager {settings.flink_rest}{path}: {error}") from error


def overview(settings: Settings) -> list[dict[str, Any]]:
    """Return Flink's own list of jobs, newest first. Raise RetryableError."""
    found: list[dict[str, Any]] = rest(settings, "/jobs/overview")["jobs"]
    return sorted(found, key=lambda job: -int(job["start-time"]))


def cancel(settings: Settings, name: str) -> None:
    """Cancel every living job of that name, without a savepoint. Raise RetryableError."""
    for one in overview(settings):
        if one["name"] == name and one["state"] in LIVING:
            rest(settings, f"/jobs/{one['jid']}?mode=cancel", method="PATCH")


def free_slots(settings: Settings) -> int:
    """Return how many slots no job has. Raise RetryableError."""
    return int(rest(settings, "/overview")["slots-available"])


def lingering(settings: Settings) -> list[str] | None:
    """Return the jobs that hold slots though they do not live; None if there is no TaskManager.

    After a JobManager's death a TaskManager ends the tasks of its jobs, which takes it a while, and
    it brings them into the next JobManager's cluster. Raise RetryableError.
    """
    managers = rest(settings, "/taskmanagers")["taskmanagers"]
    if not managers:
        return None
    details = [rest(settings, f"/taskmanagers/{one['id']}") for one in managers]
    holders = {slot["jobId"] for one in details for slot in one["allocatedSlots"]}
    return sorted(holders - {one["jid"] for one in overview(settings) if one["state"] in LIVING})


def listing(settings: Settings) -> list[Job]:
    """Return the newest job of each name; empty if the JobManager is away."""
    try:
        newest: dict[str, dict[str, Any]] = {}
        for job in overview(settings):
            newest.setdefault(job["name"], job)
        return [_job(settings, job) for job in newest.values()]
    except RetryableError:
        return []


def _job(settings: Settings, job: dict[str, Any]) -> Job:
    checkpoints = rest(settings, f"/jobs/{job['jid']}/checkpoints")
    counts = checkpoints.get("counts") or {}
    latest = (checkpoints.get("latest") or {}).get("completed") or {}
    restarts = rest(settings, f"/jobs/{job['jid']}/metrics?get=numRestarts")
    now_ms = int(rest(settings, f"/jobs/{job['jid']}")["now"])
    return Job(
        name=job["name"],
        id=job["jid"],
        age_s=round((now_ms - job["start-time"]) / 1000, 1),
        state=job["state"],
        tasks=int(job["tasks"]["total"]),
        tasks_running=int(job["tasks"]["running"]),
        restarts=int(float(restarts[0]["value"])) if restarts else 0,
        checkpoints=int(counts.get("completed", 0)),
        checkpoints_failed=int(counts.get("failed", 0)),
        checkpoint_path=latest.get("external_path"),
        checkpoint_age_s=round((now_ms - latest["latest_ack_timestamp"]) / 1000, 1)
        if latest
        else None,
    )
