"""The keeper of the jobs, a process of its own: every product's job runs, or it is submitted again.

A session cluster forgets its jobs when the JobManager dies. The keeper resumes each from its newest
checkpoint or savepoint. It never starts a job empty that has one: when Flink refuses, the health
endpoint says why.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)

from config.errors import RetryableError, UserError
from config.logging import configure
from config.products import running_jobs
from config.settings import Settings, settings
from millrace.errors import told
from millrace.flink import jobs
from millrace.flink import rest as cluster

POLL_S = 0.5
LONGEST_BACKOFF_S = 60.0
log = structlog.get_logger()


@dataclass
class Kept:
    """What the keeper knows of one job. `problem` is None while it runs."""

    name: str
    problem: str | None = "not looked at yet"
    failures: int = 0
    not_before: float = 0.0


class Metrics:
    """What the keeper tells Prometheus, by job."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        self.submissions = self._counter(
            "millrace_job_submissions_total", "Submissions that Flink accepted."
        )
        self.failures = self._counter(
            "millrace_job_submission_failures_total", "Submissions that failed."
        )
        self.not_running = Gauge(
            "millrace_job_not_running",
            "1 while the job does not run though it should.",
            ["job"],
            registry=self.registry,
        )
        for name in names:  # a job that nothing happened to is a zero, not an absence
            for metric in (self.submissions, self.failures, self.not_running):
                metric.labels(job=name)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, ["job"], registry=self.registry)


class Keeper:
    """Looks at the cluster and submits what is missing."""

    def __init__(self, loaded: Settings, names: tuple[str, ...]) -> None:
        self._settings = loaded
        self.kept = [Kept(name) for name in names]
        self._metrics = Metrics(names)
        self._stop = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        with ThreadPoolExecutor(max_workers=max(1, len(self.kept))) as pool:
            while not self._stop.is_set():
                list(pool.map(self.ensure, self.kept))
                self._stop.wait(POLL_S)

    def stop(self) -> None:
        """End `run` after the pass it is in."""
        self._stop.set()

    def ensure(self, job: Kept) -> None:
        """One look at one job."""
        try:
            if jobs.stopped_on_purpose(self._settings, job.name):
                job.problem = None
                return
            state = self._state(job.name)
            job.problem = None if state is None else state
            if state == "missing" and time.monotonic() >= job.not_before:
                self._submit(job)
        except (RetryableError, OSError) as error:
            job.problem = told(error)

    def _state(self, name: str) -> str | None:
        """Return None if every task runs, "missing" if no such job lives, else its state."""
        newest = next(
            (one for one in cluster.overview(self._settings) if one["name"] == name), None
        )
        if newest is None or newest["state"] not in cluster.LIVING:
            return "missing"
        tasks = newest["tasks"]
        if (
            newest["state"] == "RUNNING"
            and tasks["total"] > 0
            and tasks["running"] == tasks["total"]
        ):
            return None
        return f"{newest['state']}, {tasks['running']} of {tasks['total']} tasks run"

    def _submit(self, job: Kept) -> None:
        try:
            with jobs.exclusive(self._settings, job.name):
                # A person may have submitted or stopped it while this waited for the lock.
                stopped = jobs.stopped_on_purpose(self._settings, job.name)
                if stopped or jobs.living(self._settings, job.name) is not None:
                    return
                resume = jobs.latest(self._settings, job.name)
                job.problem = "being submitted"
                job_id = jobs.submit(self._settings, job.name, resume)
        except (UserError, OSError) as error:
            self._failed(job, told(error))
            return
        self._metrics.submissions.labels(job=job.name).inc()
        job.failures = 0
        # A job that fails right after it was accepted must not be submitted in a tight circle.
        job.not_before = time.monotonic() + 5
        log.info("submitted", job=job.name, id=job_id, resumed_from=str(resume) if resume else None)

    def _failed(self, job: Kept, why: str) -> None:
        self._metrics.failures.labels(job=job.name).inc()
        job.failures += 1
        wait = min(LONGEST_BACKOFF_S, 2.0**job.failures)
        job.not_before = time.monotonic() + wait
        job.problem = f"{why} (tried {job.failures} times)"
        log.error("submission failed", job=job.name, error=why, next_try_in_s=wait)

    def health(self) -> dict[str, str]:
        """Name and problem of each job that does not run though it should."""
        return {job.name: job.problem for job in self.kept if job.problem is not None}

    def metrics(self) -> bytes:
        """Prometheus's text of this moment."""
        for job in self.kept:
            self._metrics.not_running.labels(job=job.name).set(job.problem is not None)
        return generate_latest(self._metrics.registry)


def serve(keeper: Keeper, host: str, port: int) -> ThreadingHTTPServer:
    """`GET /healthz`: 200 when every job runs, else 503 with the problems by name.

    `GET /metrics` for Prometheus.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = _answer(keeper, self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _answer(keeper: Keeper, path: str) -> tuple[HTTPStatus, str, bytes]:
    if path == "/metrics":
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, keeper.metrics()
    if path == "/healthz":
        problems = keeper.health()
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        page = {"status": "degraded" if problems else "ok", "problems": problems}
        return status, "application/json", json.dumps(page).encode()
    return HTTPStatus.NOT_FOUND, "application/json", b'{"detail": "know /healthz, /metrics"}'


def of_products(loaded: Settings) -> Keeper:
    """The keeper of the jobs of every group that is on."""
    return Keeper(loaded, running_jobs(loaded))


def main() -> None:
    """Run until SIGTERM."""
    loaded = settings()
    configure("jobs", loaded)
    keeper = of_products(loaded)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        keeper.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server = serve(keeper, loaded.host, loaded.port("jobs"))
    keeper.run()
    server.shutdown()


if __name__ == "__main__":
    main()
