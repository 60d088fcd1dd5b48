"""Run the exporter's process: `python -m monitoring.exporter`."""

from __future__ import annotations

import logging
import signal
import threading
from functools import partial
from types import FrameType

import httpx
import redis
import structlog
from confluent_kafka.admin import AdminClient
from prometheus_client import generate_latest

from config import instruments
from config.health import serve
from config.logging import configure
from config.products import jobs
from config.settings import Settings
from config.settings import settings as configured
from ingestion.kafka.producer import client_log
from monitoring.exporter import redis as of_redis
from monitoring.exporter import registry as of_registry
from monitoring.exporter.kafka import Kafka
from monitoring.exporter.parts import Part, Parts

NAME = "exporter"
log = structlog.get_logger(__name__)


def parts(settings: Settings) -> list[Part]:
    """Return what is looked at; nothing is connected yet."""
    every_s = settings.monitoring_scrape_s
    admin = AdminClient(
        {"bootstrap.servers": settings.kafka_bootstrap, "client.id": NAME}, logger=client_log
    )
    client = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    registry = httpx.Client(base_url=settings.registry_url, timeout=5)
    return [
        Part("kafka", Kafka(admin, tuple(jobs(settings))).look, every_s),
        Part("redis", partial(of_redis.look, client), every_s),
        Part("registry", partial(of_registry.look, registry), every_s),
    ]


def main() -> None:
    """Look until SIGTERM or SIGINT."""
    settings = configured()
    configure(NAME, settings)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log each call of the registry
    every, stop, registry = parts(settings), threading.Event(), instruments.registry()
    for one in every:
        registry.register(one)
        threading.Thread(target=one.run, args=(stop,), name=one.name, daemon=True).start()
    port = settings.port(NAME)
    server = serve(settings.host, port, Parts(every), lambda: generate_latest(registry))

    def end(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("started", port=port, parts=[one.name for one in every])
    stop.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
