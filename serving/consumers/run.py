"""Start a consumer's process: clients, signals, health, and the loop."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

import redis
import structlog
from confluent_kafka import Consumer, Producer
from prometheus_client import generate_latest

from config.errors import RetryableError, UserError
from config.health import serve
from config.logging import configure
from config.products import consumers
from config.settings import Settings
from config.settings import settings as configured
from config.topics import topics
from ingestion.kafka.producer import client_log, producer_config
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from serving.consumers.connection import Connection
from serving.consumers.health import Health
from serving.consumers.loop import Loop
from serving.consumers.metrics import Metrics
from serving.consumers.product import Product
from serving.consumers.rebuilding import declared_by
from serving.process import freeze
from serving.store import RedisStore, Store, StoreRestartedError

log = structlog.get_logger(__name__)
# A record is never given up: the offsets behind it wait for its confirmation.
UNHURRIED = {"linger.ms": 2, "delivery.timeout.ms": 0, "socket.nagle.disable": True}


def consumer_config(settings: Settings, group: str) -> dict[str, str | int | bool]:
    """Return Kafka consumer settings: low latency, and memory that a backlog cannot blow up."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "group.id": group,
        "client.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 16_384,
        "socket.nagle.disable": True,
        "session.timeout.ms": 10_000,
        "max.poll.interval.ms": 600_000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "reconnect.backoff.max.ms": 1000,
    }


def reader_config(settings: Settings, group: str) -> dict[str, str | int | bool]:
    """Return the settings of a client that names its partitions itself and commits nothing."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "group.id": f"{group}-rebuild",  # required by the client
        "client.id": f"{group}-rebuild",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": 16_384,
        "reconnect.backoff.max.ms": 1000,
    }


def redis_store(settings: Settings) -> Store:
    """Open the store of products that choose none."""
    return RedisStore(
        redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    )


def check_topics(product: Product) -> None:
    """Raise UserError if the product reads no topic or an undeclared one."""
    named = [*product.topics, *(one.topic for one in declared_by(product))]
    unknown = [topic for topic in named if topic not in topics()]
    if unknown or not product.topics:
        told = f"reads undeclared topics: {', '.join(unknown)}" if unknown else "reads no topic"
        raise UserError(f"{product.name} {told}")


def metrics_port(settings: Settings, consumer: str) -> int:
    """Return the port that a consumer's product declares, offset applied."""
    return consumers(settings)[consumer].port + settings.port_offset


def run(
    name: str,
    make: Callable[[Settings], Product],
    store: Callable[[Settings], Store] = redis_store,
) -> None:
    """Run the consumer `name` until SIGTERM or SIGINT.

    `make` builds its product once logging is set up; `store` opens the store of its values.
    """
    settings = configured()
    configure(f"consumer-{name}", settings)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log each call of the registry
    product = make(settings)
    check_topics(product)
    group = f"millrace-{name}"
    health, metrics = Health(time.monotonic), Metrics(product.name)
    product.register(metrics.registry)
    port = metrics_port(settings, product.name)
    server = serve(settings.host, port, health, lambda: generate_latest(metrics.registry))
    kafka = Connection()
    loop = Loop(
        product,
        Consumer({**consumer_config(settings, group), "error_cb": kafka.failed}, logger=client_log),
        Producer(producer_config(settings.kafka_bootstrap, group, **UNHURRIED), logger=client_log),
        store=store(settings),
        codec=Codec(Registry(settings.registry_url, attempts=1)),
        metrics=metrics,
        health=health,
        kafka=kafka,
        reader=lambda: Consumer(reader_config(settings, group), logger=client_log),
    )

    def stop(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        loop.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("started", topics=product.topics, kafka=settings.kafka_bootstrap, port=port)
    freeze()
    try:
        loop.run()
    except (RetryableError, StoreRestartedError) as error:
        log.warning("stopped; uncommitted records will be read again", error=str(error))
        sys.exit(1)
    finally:
        server.shutdown()
