"""Watch the system as a whole: rates of topics, consumers with their latency, jobs, processes.

Everything is asked where it is told already: Kafka's offsets, the consumers' metrics, Flink's REST
interface, and pages of health.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import httpx
import redis
from confluent_kafka import KafkaException

from config.products import Consumer, running, running_jobs
from config.settings import Settings
from serving.api.context import Values
from serving.page.prometheus import Latency, Rate, Reading, read

SELDOM_S = 5.0
"""Between two questions about what seldom changes: jobs, the registry, the keeper of the jobs."""
TIMEOUT_S = 1.5
Figures = dict[str, Any]


class Ends(Protocol):
    """The ends of Kafka's topics (serving/page/offsets.py)."""

    def read(self) -> dict[str, int]:
        """Return by topic the sum of its partitions' ends. Raise KafkaException."""
        ...


@dataclass(frozen=True, slots=True)
class State:
    """A process as the page shows it; `why` is what it lacks or waits for, in words."""

    name: str
    kind: str
    state: str  # ready, waiting, away
    why: str = ""

    def document(self) -> Figures:
        """Return it ready for JSON."""
        return {"name": self.name, "kind": self.kind, "state": self.state, "why": self.why}


@dataclass(slots=True)
class Sample:
    """The system at a moment (seconds); rates are per second, latencies in ms."""

    moment: float
    topics: dict[str, float | None] = field(default_factory=dict)
    consumers: dict[str, Figures] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)


class Watch:
    """Ask all parts once per `sample`; what does not answer is away, and never an error."""

    def __init__(
        self,
        settings: Settings,
        values: Values,
        ends: Ends,
        client: httpx.AsyncClient,
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._values, self._ends = settings, values, ends
        self._client, self._clock = client, clock
        self._consumers = [one for product in running(settings) for one in product.consumers]
        self._wanted = running_jobs(settings)
        self._rates: dict[str, Rate] = {}
        self._latencies: dict[str, Latency] = {}
        self._seldom: tuple[float, list[State], dict[str, str]] | None = None

    async def sample(self) -> Sample:
        """Return the system as it is now."""
        found = Sample(self._clock())
        states = await asyncio.gather(
            self._kafka(found),
            self._redis(),
            self._rest(found),
            *(self._consumer(found, one) for one in self._consumers),
        )
        found.states = [state for several in states for state in several]
        found.states.append(State("api", "api", "ready"))
        return found

    async def _kafka(self, found: Sample) -> list[State]:
        try:
            ends = await asyncio.to_thread(self._ends.read)
        except (KafkaException, TimeoutError) as error:
            return [State("kafka", "store", "away", _short(error))]
        found.topics = {
            name: self._rate(f"topic:{name}", found.moment, end) for name, end in ends.items()
        }
        return [State("kafka", "store", "ready")]

    async def _redis(self) -> list[State]:
        try:
            await self._values.ping()
        except redis.RedisError as error:
            return [State("redis", "store", "away", _short(error))]
        return [State("redis", "store", "ready")]

    async def _rest(self, found: Sample) -> list[State]:
        """Return what is asked seldom, from the last time if that is not long ago."""
        if self._seldom is None or found.moment - self._seldom[0] >= SELDOM_S:
            (flink, jobs), registry, keeper = await asyncio.gather(
                self._jobs(), self._registry(), self._keeper()
            )
            self._seldom = (found.moment, [*flink, registry, keeper], jobs)
        _, states, found.jobs = self._seldom
        return states

    async def _jobs(self) -> tuple[list[State], dict[str, str]]:
        try:
            answer = await self._client.get(f"{self._settings.flink_rest}/jobs/overview")
            listed = answer.json()["jobs"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            away = dict.fromkeys(self._wanted, "away")
            return [State("flink", "job", "away", _short(error))], away
        newest = {job["name"]: job for job in sorted(listed, key=lambda one: one["start-time"])}
        jobs = {name: _job_state(newest.get(name)) for name in self._wanted}
        states = [
            State(name, "job", "ready" if state == "running" else "waiting", _job_why(state))
            for name, state in jobs.items()
        ]
        return [State("flink", "job", "ready"), *states], jobs

    async def _registry(self) -> State:
        url = f"{self._settings.registry_url}/subjects"
        return await self._page("registry", "store", url)

    async def _keeper(self) -> State:
        url = f"http://{self._settings.host_of('jobs')}:{self._settings.port('jobs')}/readyz"
        return await self._page("jobs", "job", url)

    async def _page(self, name: str, kind: str, url: str) -> State:
        try:
            answer = await self._client.get(url)
        except httpx.HTTPError as error:
            return State(name, kind, "away", _short(error))
        if answer.status_code == HTTPStatus.OK:
            return State(name, kind, "ready")
        return State(name, kind, "waiting", _reasons(answer) or f"answers {answer.status_code}")

    async def _consumer(self, found: Sample, consumer: Consumer) -> list[State]:
        host = self._settings.host_of(f"consumer-{consumer.name}")
        url = f"http://{host}:{consumer.port + self._settings.port_offset}"
        try:
            reading = read((await self._client.get(f"{url}/metrics")).text)
        except httpx.HTTPError as error:
            return [State(consumer.name, "consumer", "away", _short(error))]
        found.consumers[consumer.name] = self._figures(consumer.name, found.moment, reading)
        if reading.ready and not reading.waiting:
            return [State(consumer.name, "consumer", "ready")]
        try:
            why = _reasons(await self._client.get(f"{url}/readyz"))
        except httpx.HTTPError as error:
            why = _short(error)
        return [State(consumer.name, "consumer", "waiting", why)]

    def _figures(self, name: str, moment: float, reading: Reading) -> Figures:
        latency = self._latencies.setdefault(name, Latency())
        p50, p99 = (
            None if value is None else round(value * 1000, 1)
            for value in latency.add(moment, reading.buckets)
        )
        return {
            "rate": self._rate(f"consumer:{name}", moment, reading.records),
            "lag": int(reading.lag),
            "p50": p50,
            "p99": p99,
            "records": int(reading.records),
            "quarantined": int(reading.quarantined),
        }

    def _rate(self, name: str, moment: float, count: float) -> float | None:
        rate = self._rates.setdefault(name, Rate()).add(moment, count)
        return None if rate is None else round(rate, 1)


def _job_state(job: Figures | None) -> str:
    if job is None:
        return "missing"
    tasks = job["tasks"]
    if job["state"] == "RUNNING" and tasks["running"] == tasks["total"] > 0:
        return "running"
    return "starting" if job["state"] == "RUNNING" else str(job["state"]).lower()


def _job_why(state: str) -> str:
    return "" if state == "running" else f"the job is {state}"


def _reasons(answer: httpx.Response) -> str:
    """Return what a page of health says is missing or waited for."""
    try:
        page = answer.json()
        told: Iterable[Any] = {**page.get("missing", {}), **page.get("waiting", {})}.values()
    except (ValueError, AttributeError, TypeError):
        return ""
    return "; ".join(map(str, told))


def _short(error: Exception) -> str:
    return f"does not answer: {type(error).__name__}"
