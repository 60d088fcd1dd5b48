"""Run the broker: KRaft, broker and controller in one process, from Maven's jars."""

from __future__ import annotations

import base64
import subprocess
import uuid

from config.errors import UserError
from config.files import write
from config.settings import Settings
from millrace.stack.layout import Layout
from millrace.stack.parts.jvm import (
    FIRST_COMPILER,
    clear_temporary,
    compilers,
    java,
    temporary,
)

LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
logger.coordinator.name = org.apache.kafka.coordinator
logger.coordinator.level = WARN
"""


def properties(settings: Settings) -> dict[str, str]:
    """Return `server.properties`: one node, small buffers.

    No topic is created but by `millrace topics apply`.
    """
    host, broker, controller = (
        settings.host,
        settings.port("kafka"),
        settings.port("kafka_controller"),
    )
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{host}:{controller}",
        "listeners": f"PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{settings.kafka_bootstrap}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(settings.state_dir / "kafka" / "data"),
        "auto.create.topics.enable": "false",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "2",
        "log.segment.bytes": str(128 * 1024 * 1024),
        "log.cleaner.threads": "1",
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        # One node: internal topics can have one replica only. Few partitions start faster.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # There is no other broker to hand leadership to.
        "controlled.shutdown.enable": "false",
    }


def command(settings: Settings) -> tuple[str, ...]:
    """Return the broker's command line."""
    layout = Layout.of(settings)
    home = layout.state / "kafka"
    return (
        java(),
        f"-Xms{settings.kafka_heap}",
        f"-Xmx{settings.kafka_heap}",
        # Nearly all a broker allocates dies at once; the rest lives long, so it is not copied 15
        # times before it is tenured. Pauses of 6 ms every six seconds, with G1 33 every two
        # (docs/decisions/0007).
        "-XX:+UseParallelGC",
        "-XX:NewRatio=1",
        "-XX:MaxTenuringThreshold=1",
        *compilers(settings),
        "-XX:+ExitOnOutOfMemoryError",
        temporary(layout, "kafka"),
        f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
        "-cp",
        f"{layout.kafka_jars}/*",
        "kafka.Kafka",
        str(home / "server.properties"),
    )


def prepare(settings: Settings) -> None:
    """Write the configuration; format the storage once.

    Raise UserError if Kafka refuses to format it.
    """
    layout = Layout.of(settings)
    home = layout.state / "kafka"
    clear_temporary(layout, "kafka")
    write(
        home / "server.properties",
        "".join(f"{key}={value}\n" for key, value in properties(settings).items()),
    )
    write(home / "log4j2.properties", LOG4J)
    if (home / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    line = (
        java(),
        "-Xmx128m",
        *FIRST_COMPILER,
        "-cp",
        f"{layout.kafka_jars}/*",
        "kafka.tools.StorageTool",
    )
    done = subprocess.run(
        (*line, "format", "-t", cluster, "-c", str(home / "server.properties")),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UserError(f"Kafka cannot format its storage in {home / 'data'}: {' '.join(last)}")
