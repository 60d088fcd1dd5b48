"""Keep every product's job running, from a process of its own, and submit jobs that are missing.

A session cluster forgets its jobs when the JobManager dies. The keeper resumes each from its newest
checkpoint or savepoint. It never starts a job empty that has one: if Flink refuses, the health
endpoint says why. While the cluster or the topics are still to come, a client gets ready.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from prometheus_client import generate_latest

from config import instruments
from config.errors import RetryableError, UserError
from config.health import serve
from config.logging import configure
from config.products import running_jobs, setups
from config.retry import Backoff
from config.settings import Settings, settings
from config.topics import topics as declared_topics
from ingestion.kafka import topics
from millrace.errors import told
from millrace.flink import jobs, submission
from millrace.flink import rest as cluster
from millrace.flink.client import Client
from millrace.stack.layout import Layout
from millrace.stack.parts import flink

POLL_S = 0.5
BACKOFF = Backoff(2.0, 60.0)
STALLED_AFTER_S = 60.0
log = structlog.get_logger()


@dataclass
class Kept:
    """The keeper's state of one job. `problem` is None while the job runs."""

    name: str
    problem: str | None = "not checked yet"
    failures: int = 0
    not_before: float = 0.0
    submitting: bool = False


class Metrics:
    """The keeper's metrics for Prometheus, by job."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.registry = instruments.registry()
        self.submissions = instruments.counter("millrace_job_submissions_total", self.registry)
        self.failures = instruments.counter("millrace_job_submission_failures_total", self.registry)
        self.not_running = instruments.gauge("millrace_job_not_running", self.registry)
        for name in names:  # report zero for a job without events, instead of no series
            for metric in (self.submissions, self.failures, self.not_running):
                metric.labels(job=name)


class Keeper:
    """Check the cluster and submit all missing jobs by one client."""

    def __init__(
        self,
        loaded: Settings,
        names: tuple[str, ...],
        absent: Callable[[], list[str]] = list,
        ahead: Callable[[Settings], Client] | None = None,
    ) -> None:
        """Set up; `absent` returns the missing topics, `ahead` starts a client."""
        self._settings, self._absent, self._start_ahead = loaded, absent, ahead
        self._ahead: Client | None = None
        self._topics_exist = False
        self.kept = [Kept(name) for name in names]
        self._metrics = Metrics(names)
        self._stop = threading.Event()
        self._looked = time.monotonic()
        self.waiting: dict[str, str] = {}

    def run(self) -> None:
        """Check the cluster until `stop`, also while a client submits."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            client: Future[None] | None = None
            while not self._stop.is_set():
                if client is not None and client.done():
                    client.result()  # raises unexpected errors
                    client = None
                missing = self.look()
                self._looked = time.monotonic()
                if missing and client is None:
                    client = pool.submit(self.submit, missing)
                self._stop.wait(POLL_S)
        if self._ahead is not None:
            self._ahead.close()

    def stop(self) -> None:
        """End `run` after the current pass."""
        self._stop.set()

    def look(self) -> list[Kept]:
        """Update the state of every job; return those to be submitted now."""
        try:
            overview = cluster.overview(self._settings)
        except RetryableError as error:
            return self._none(told(error))
        if waits_for := self._absent_topics():
            return self._none(waits_for)
        missing = [job for job in self.kept if self._misses(job, overview)]
        if self._ahead is not None and all(job.problem is None for job in self.kept):
            self._ahead.close()
            self._ahead = None
        return missing

    def _none(self, why: str) -> list[Kept]:
        """Record why no job can be submitted yet, and let a client get ready for it."""
        for job in self.kept:
            job.problem = why
        if self._ahead is None and self._start_ahead is not None:
            wanted = [
                job.name
                for job in self.kept
                if not jobs.stopped_on_purpose(self._settings, job.name)
            ]
            if wanted:
                self._ahead = self._start_ahead(self._settings)
                self._ahead.compile(wanted)
        return []

    def _absent_topics(self) -> str | None:
        """Return what is said of topics that do not exist yet; None once all do."""
        if self._topics_exist:
            return None
        try:
            absent = self._absent()
        except RetryableError as error:
            return told(error)
        self._topics_exist = not absent
        return f"waits for topics: {', '.join(absent)}" if absent else None

    def _misses(self, job: Kept, overview: list[dict[str, Any]]) -> bool:
        """Update the state of a job; return whether it should be submitted now."""
        if jobs.stopped_on_purpose(self._settings, job.name):
            job.problem = None
            return False
        state = _state(job.name, overview)
        due = state == "missing" and time.monotonic() >= job.not_before
        if state != "missing" or not (job.failures or job.submitting):
            job.problem = state
        return due and not job.submitting

    def submit(self, missing: list[Kept]) -> None:
        """Submit missing jobs, each from its newest checkpoint or savepoint."""
        for job in missing:
            job.submitting, job.problem = True, "being submitted"
        try:
            with ExitStack() as locks:
                for job in sorted(missing, key=lambda one: one.name):
                    locks.enter_context(jobs.exclusive(self._settings, job.name))
                self._submit({job.name: job for job in missing})
        except RetryableError as error:
            for job in missing:
                job.problem = told(error)
        except OSError as error:
            for job in missing:
                self._failed(job, told(error))
        finally:
            for job in missing:
                job.submitting = False

    def _submit(self, missing: dict[str, Kept]) -> None:
        # A person may have submitted or stopped one while this waited for the lock.
        wanted = [
            submission.again(self._settings, name)
            for name in missing
            if not jobs.stopped_on_purpose(self._settings, name)
            and jobs.living(self._settings, name) is None
        ]
        ahead, self._ahead = self._ahead, None
        outcomes = submission.submit_all(self._settings, wanted, ahead)
        for one in wanted:
            outcome = outcomes[one.name]
            if isinstance(outcome, UserError):
                self._failed(missing[one.name], told(outcome))
            else:
                self._accepted(missing[one.name], outcome, one.resume)

    def _accepted(self, job: Kept, job_id: str, resume: Path | None) -> None:
        self._metrics.submissions.labels(job=job.name).inc()
        job.failures = 0
        # A job that fails right after it was accepted must not be submitted in a tight loop.
        job.not_before = time.monotonic() + 5
        log.info("submitted", job=job.name, id=job_id, resumed_from=str(resume) if resume else None)

    def _failed(self, job: Kept, why: str) -> None:
        self._metrics.failures.labels(job=job.name).inc()
        job.failures += 1
        wait = BACKOFF.after(job.failures)
        job.not_before = time.monotonic() + wait
        job.problem = f"{why} (tried {job.failures} times)"
        log.error("submission failed", job=job.name, error=why, next_try_in_s=wait)

    def alive(self) -> bool:
        """Return whether the cluster was checked lately; the check waits for nothing but Flink."""
        return time.monotonic() - self._looked < STALLED_AFTER_S

    @property
    def missing(self) -> dict[str, str]:
        """Return name and problem of each job that should run but does not."""
        return {job.name: job.problem for job in self.kept if job.problem is not None}

    def metrics(self) -> bytes:
        """Return the current metrics in Prometheus' text format."""
        for job in self.kept:
            self._metrics.not_running.labels(job=job.name).set(job.problem is not None)
        return generate_latest(self._metrics.registry)


def _state(name: str, overview: list[dict[str, Any]]) -> str | None:
    """Return None when every task runs, "missing" when no such job lives, else the job's state."""
    newest = next((one for one in overview if one["name"] == name), None)
    if newest is None or newest["state"] not in cluster.LIVING:
        return "missing"
    tasks = newest["tasks"]
    if newest["state"] == "RUNNING" and 0 < tasks["total"] == tasks["running"]:
        return None
    return f"{newest['state']}, {tasks['running']} of {tasks['total']} tasks run"


def of_products(loaded: Settings) -> Keeper:
    """Return the keeper of the jobs of every enabled group."""
    client = topics.admin(loaded.kafka_bootstrap)
    absent = partial(topics.absent, client, declared_topics())
    return Keeper(loaded, running_jobs(loaded), absent, _ahead)


def _ahead(loaded: Settings) -> Client:
    """Start a client while the cluster is away, with the jars that the next cluster will have."""
    layout = Layout.of(loaded)
    flink.link_lib(layout, flink.assemble(layout, setups(loaded)))
    return Client(loaded)


def main() -> None:
    """Run until SIGTERM."""
    loaded = settings()
    configure("jobs", loaded)
    keeper = of_products(loaded)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        keeper.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server = serve(loaded.host, loaded.port("jobs"), keeper, keeper.metrics)
    keeper.run()
    server.shutdown()


if __name__ == "__main__":
    main()
