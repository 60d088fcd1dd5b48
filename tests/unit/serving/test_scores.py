"""The gateway.

Over fake clients what no broker can be told to do, then once over librdkafka's own mock broker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Producer, TopicPartition
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.errors import RetryableError, UserError
from config.settings import Settings
from ingestion.wire.codec import Codec, UnreadableError
from serving.api import gateway as scores
from serving.api.context import Context
from serving.api.gateway import AwayError, Gateway
from serving.fraud import routes as fraud

pytestmark = pytest.mark.anyio

GONE = KafkaError(KafkaError._TRANSPORT, "no broker")
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN)
FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "out of order", fatal=True)
REFUSALS = [
    (RetryableError("registry does not answer"), "registry does not answer"),
    (
        UserError("registry http://me:secret@host/ answered 401"),
        "registry http://host/ answered 401",
    ),
    (KeyError("undeclared"), "KeyError: 'undeclared'"),
    (
        json.JSONDecodeError("no JSON", "<html>", 0),
        "JSONDecodeError: no JSON: line 1 column 1 (char 0)",
    ),
]


class Cluster:
    """Brokers, registry and what the clients are told of them. `topics`: partitions by topic."""

    def __init__(self) -> None:
        self.topics = {"asked": 1, "told": 2}
        self.away = self.hung = False
        self.producers: list[FakeProducer] = []
        self.consumers: list[FakeConsumer] = []
        self.refusal: Exception | None = None
        self.unreadable: dict[bytes, Exception] = {}

    def encoder(self, _: str, name: str | None = None) -> None:
        if self.refusal is not None:
            raise self.refusal

    def encode(self, _: str, record: dict[str, Any], name: str | None = None) -> bytes:
        return json.dumps(record).encode()

    def decode(self, _: str, value: bytes) -> dict[str, Any]:
        if value in self.unreadable:
            raise self.unreadable[value]
        return {"value": value}


class FakeProducer:
    def __init__(self, cluster: Cluster, config: dict[str, Any]) -> None:
        self.cluster, self.config = cluster, config
        self.errors: deque[KafkaError] = deque()
        self.waiting: deque[Callable[[KafkaError | None, Any], None]] = deque()
        self.polls = 0
        self.purged = False
        cluster.producers.append(self)

    def list_topics(self, timeout: float) -> Any:
        assert timeout <= 2
        if self.cluster.away:
            raise KafkaException(GONE)
        numbers = {name: dict.fromkeys(range(count)) for name, count in self.cluster.topics.items()}
        return SimpleNamespace(
            topics={name: SimpleNamespace(partitions=found) for name, found in numbers.items()}
        )

    def produce(
        self,
        topic: str,
        value: bytes,
        key: str,
        on_delivery: Callable[[KafkaError | None, Any], None],
    ) -> None:
        assert (topic, key) == ("asked", "k")
        self.waiting.append(on_delivery)

    def poll(self, timeout: float) -> None:
        self.polls += 1
        if self.errors:
            self.config["error_cb"](self.errors.popleft())
        while self.waiting and not self.cluster.hung:
            self.waiting.popleft()(None, None)
        time.sleep(min(timeout, 0.005))

    def purge(self) -> None:
        self.purged = True

    def flush(self, _: float) -> None:
        while self.waiting:
            self.waiting.popleft()(KafkaError(KafkaError._PURGE_QUEUE), None)


class FakeConsumer:
    def __init__(self, cluster: Cluster) -> None:
        self.messages: deque[Any] = deque()
        self.assigned: dict[int, int] = {}
        self.closed = False
        cluster.consumers.append(self)

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        assert timeout <= 2
        return 3, 10 + partition.partition

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        assert not {one.partition for one in partitions} & set(self.assigned)
        self.assigned |= {one.partition: one.offset for one in partitions}

    def poll(self, timeout: float) -> Any:
        time.sleep(min(timeout, 0.005))
        return self.messages.popleft() if self.messages else None

    def close(self) -> None:
        self.closed = True

    def answer(self, value: bytes) -> None:
        self.messages.append(
            SimpleNamespace(error=lambda: None, key=lambda: b"k", value=lambda: value)
        )


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(scores, "Producer", lambda config, logger: FakeProducer(cluster, config))
    monkeypatch.setattr(scores, "Consumer", lambda _, logger: FakeConsumer(cluster))
    monkeypatch.setattr(scores, "RETRY_S", 0.02)
    return cluster


@pytest.fixture
async def gateway(cluster: Cluster) -> AsyncIterator[Gateway]:
    gateway = Gateway("nowhere:1", cast("Codec", cluster), "asked", "told")
    gateway.start()
    yield gateway
    alive = [thread.is_alive() for thread in gateway._threads]
    await gateway.close()
    assert alive == [True, True, True]
    assert cluster.consumers[0].closed


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def ready(gateway: Gateway) -> None:
    await until(lambda: not gateway.trouble)


async def test_nothing_is_ready_before_it_was_asked(cluster: Cluster) -> None:
    gateway = Gateway("nowhere:1", cast("Codec", cluster), "asked", "told")
    assert set(gateway.trouble) == {"registry", "kafka", "confirmations", "answers"}
    with pytest.raises(AwayError, match="schema registry: not asked yet"):
        gateway.encode({})


@pytest.mark.parametrize(("refusal", "told"), REFUSALS)
async def test_whatever_the_registry_does_payments_go_on_after_it(
    cluster: Cluster, refusal: Exception, told: str
) -> None:
    cluster.refusal = refusal
    gateway = Gateway("nowhere:1", cast("Codec", cluster), "asked", "told")
    with capture_logs() as lines:
        gateway.start()
        await until(lambda: gateway.trouble == {"registry": told})
        with pytest.raises(AwayError, match="schema registry: "):
            gateway.encode({})
        polls = cluster.producers[0].polls
        await until(lambda: cluster.producers[0].polls > polls + 2)
        cluster.refusal = None
        await ready(gateway)
    assert gateway.encode({"n": 1}) == b'{"n": 1}'
    await asyncio.wait_for(gateway.produce("k", b"v"), 5)
    await gateway.close()
    assert [
        line["error"] for line in lines if line.get("part") == "registry" and "error" in line
    ] == [told]
    assert "secret" not in str(lines)


@pytest.mark.parametrize(("refusal", "told"), REFUSALS[1:])
async def test_an_answer_that_cannot_be_read_is_not_the_last(
    cluster: Cluster, gateway: Gateway, refusal: Exception, told: str
) -> None:
    await ready(gateway)
    cluster.unreadable[b"bad"] = refusal
    answer = gateway.expect(b"k")
    with capture_logs() as lines:
        cluster.consumers[0].answer(b"bad")
        await until(lambda: [line for line in lines if line["event"] == "unhealthy"])
        cluster.consumers[0].answer(b"good")
        assert await asyncio.wait_for(answer, 5) == {"value": b"good"}
        await ready(gateway)
    assert [line["error"] for line in lines if line["event"] == "unhealthy"] == [told]
    gateway.forget(b"k", answer)


@pytest.mark.parametrize(
    "refusal", [UnreadableError("empty", "no value"), RetryableError("registry away")]
)
async def test_poison_among_answers_is_nobodys_trouble(
    cluster: Cluster, gateway: Gateway, refusal: Exception
) -> None:
    await ready(gateway)
    cluster.unreadable[b"bad"] = refusal
    answer = gateway.expect(b"k")
    for value in (b"bad", b"good"):
        cluster.consumers[0].answer(value)
    assert await asyncio.wait_for(answer, 5) == {"value": b"good"}
    assert gateway.trouble == {}


async def test_a_broker_that_goes_away_is_named_until_it_is_back(
    cluster: Cluster, gateway: Gateway
) -> None:
    await ready(gateway)
    cluster.away = True
    cluster.producers[0].errors.append(ALL_DOWN)
    await until(lambda: gateway.trouble == {"kafka": "no broker"})
    cluster.away = False
    await ready(gateway)


async def test_connections_that_were_idle_are_no_outage(cluster: Cluster, gateway: Gateway) -> None:
    await ready(gateway)
    with capture_logs() as lines:
        cluster.producers[0].errors.append(ALL_DOWN)
        await until(lambda: not cluster.producers[0].errors)
        await asyncio.sleep(0.05)
    assert (gateway.trouble, lines) == ({}, [])


async def test_a_broker_that_hangs_is_seen_by_a_look(
    cluster: Cluster, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "REFRESH_S", 0.02)
    await ready(gateway)
    cluster.producers[0].errors.append(ALL_DOWN)  # ends the wait that began with the old interval
    await until(lambda: not cluster.producers[0].errors)
    cluster.away = True
    await until(lambda: gateway.trouble == {"kafka": "no broker"})


@pytest.mark.parametrize("name", ["asked", "told"])
async def test_a_topic_that_is_missing_is_named(cluster: Cluster, name: str) -> None:
    count = cluster.topics.pop(name)
    gateway = Gateway("nowhere:1", cast("Codec", cluster), "asked", "told")
    gateway.start()
    await until(lambda: gateway.trouble["kafka"] == f"no topic {name}: run `millrace topics apply`")
    cluster.topics[name] = count
    await ready(gateway)
    await gateway.close()


async def test_a_producer_that_failed_for_good_is_replaced(
    cluster: Cluster, gateway: Gateway
) -> None:
    await ready(gateway)
    cluster.hung = True
    lost = gateway.produce("k", b"v")
    with capture_logs() as lines:
        cluster.producers[0].errors.append(FATAL)
        with pytest.raises(AwayError):
            await asyncio.wait_for(lost, 5)
        await until(lambda: lines)
    assert lines[0]["part"] == "confirmations"
    assert "the producer failed, a new one takes its place: out of order" in lines[0]["error"]
    cluster.hung = False
    assert cluster.producers[0].purged
    await asyncio.wait_for(gateway.produce("k", b"v"), 5)
    await ready(gateway)
    assert len(cluster.producers) == 2


async def test_partitions_added_later_are_read_from_their_beginning(
    cluster: Cluster, gateway: Gateway
) -> None:
    await ready(gateway)
    assert cluster.consumers[0].assigned == {0: 10, 1: 11}
    cluster.topics["told"] = 4
    cluster.producers[0].errors.append(ALL_DOWN)  # a look now, not in half a minute
    await until(lambda: len(cluster.consumers[0].assigned) == 4)
    assert cluster.consumers[0].assigned == {0: 10, 1: 11, 2: OFFSET_BEGINNING, 3: OFFSET_BEGINNING}


async def test_readyz_asks_for_every_part(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.topics = {"transactions": 1, "fraud-scores": 1}
    cluster.refusal = UserError("answered 401")
    context = Context(
        Settings(api_keys=SecretStr("key")), cast("Any", None), cast("Codec", cluster)
    )
    async with fraud.lifespan(context):
        gateway = context.parts["fraud"].gateway
        await until(lambda: set(gateway.trouble) == {"registry"})
        said = {name: await check() for name, check in context.checks.items()}
        assert said == {
            "registry": "answered 401",
            "kafka": None,
            "confirmations": None,
            "answers": None,
        }


@pytest.fixture
def broker() -> Iterator[list[Producer]]:
    """A mock broker that lives in the list's only member, with both topics."""
    quiet = logging.getLogger("tests.mock")
    quiet.setLevel(logging.CRITICAL)
    owner = Producer({"bootstrap.servers": "mock:1", "test.mock.num.brokers": 1}, logger=quiet)
    for name in ("asked", "told"):
        owner.list_topics(name, timeout=10)
    held = [owner]
    del owner
    yield held
    held.clear()


@pytest.mark.slow  # the client's own time-outs
async def test_with_the_real_client(
    broker: list[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "RETRY_S", 0.1)
    (found,) = broker[0].list_topics(timeout=10).brokers.values()
    gateway = Gateway(
        f"{found.host}:{found.port}", cast("Codec", Cluster()), "asked", "told", give_up_ms=1000
    )
    gateway.start()
    await until(lambda: not gateway.trouble, 30)
    answer = gateway.expect(b"k")
    await asyncio.wait_for(gateway.produce("k", b"v"), 30)
    broker[0].produce("told", b"yes", b"k")
    await asyncio.to_thread(broker[0].flush, 10)
    assert await asyncio.wait_for(answer, 30) == {"value": b"yes"}
    broker.clear()
    await until(lambda: set(gateway.trouble) == {"kafka"}, 30)
    with pytest.raises(AwayError):
        await asyncio.wait_for(gateway.produce("k", b"v"), 30)
    await gateway.close()
    assert not [thread for thread in threading.enumerate() if thread in gateway._threads]
