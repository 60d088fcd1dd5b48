"""Every process of the stack, once, as data.

Supervisor, docker-compose, `status` and `doctor` all read this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from config.errors import UserError
from config.products import Product, products
from config.settings import Settings
from millrace.stack.parts import flink, kafka, redis, registry


def _nothing(_settings: Settings) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Probe:
    """How to see that a process is ready.

    `kind` names a function of `millrace.stack.probes`, `target` its argument.
    """

    kind: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    `command` is what runs in the end; `python -m millrace.stack.run <name>` prepares
    (configuration, storage) and becomes it. `ports` by purpose. `memory` is the most it should
    need, in MiB. `oneshot` processes are ready when they have exited with 0.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe
    memory: int
    ports: dict[str, int] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    prepare: Callable[[Settings], None] = _nothing
    oneshot: bool = False


def processes(settings: Settings) -> dict[str, Process]:
    """Every process by name, dependencies before those that need them."""
    declared = [*_infrastructure(settings), *_ours(settings, products())]
    return {process.name: process for process in declared}


def _infrastructure(settings: Settings) -> list[Process]:
    port = settings.port
    jvm_extra = 160  # metaspace, code cache and threads beside a small JVM's heap
    return [
        Process(
            name="kafka",
            command=kafka.command(settings),
            prepare=kafka.prepare,
            ports={"broker": port("kafka"), "controller": port("kafka_controller")},
            ready=Probe("kafka", settings.kafka_bootstrap),
            memory=flink.mebibytes(settings.kafka_heap) + jvm_extra,
        ),
        Process(
            name="registry",
            command=registry.command(settings),
            prepare=registry.prepare,
            env=registry.environment(settings),
            ports={"http": port("registry")},
            ready=Probe("http", f"{settings.registry_url}/subjects"),
            memory=flink.mebibytes(settings.registry_heap) + jvm_extra,
        ),
        Process(
            name="redis",
            command=redis.command(settings),
            prepare=redis.prepare,
            ports={"redis": port("redis")},
            ready=Probe("redis"),
            memory=256,
        ),
        Process(
            name="jobmanager",
            command=flink.jobmanager(settings),
            prepare=partial(flink.prepare, name="jobmanager"),
            env=flink.environment(settings),
            ports={
                "rest": port("flink_rest"),
                "rpc": port("flink_rpc"),
                "blob": port("flink_blob"),
                "metrics": port("flink_jobmanager_metrics"),
            },
            ready=Probe("http", f"{settings.flink_rest}/overview"),
            memory=flink.mebibytes(settings.flink_jobmanager_memory),
        ),
        Process(
            name="taskmanager",
            command=flink.taskmanager(settings),
            prepare=partial(flink.prepare, name="taskmanager"),
            # With an arena for every thread, RocksDB's allocations would grow the process with
            # each job.
            env={**flink.environment(settings), "MALLOC_ARENA_MAX": "1"},
            ports={
                "rpc": port("flink_taskmanager"),
                "data": port("flink_data"),
                "metrics": port("flink_taskmanager_metrics"),
            },
            depends_on=("jobmanager",),
            ready=Probe("taskmanager", settings.flink_rest),
            memory=flink.mebibytes(settings.flink_taskmanager_memory),
        ),
    ]


def _ours(settings: Settings, declared: tuple[Product, ...]) -> list[Process]:
    base = settings.port("consumer_metrics")
    consumers = [
        Process(
            name=f"consumer-{product.consumer}",
            command=_python(f"serving.{product.consumer}.consumer"),
            ports={"metrics": base + index},
            depends_on=("topics", "redis"),
            ready=Probe("http", f"http://{settings.host}:{base + index}/readyz"),
            memory=384,
        )
        for index, product in enumerate(declared)
    ]
    return [
        Process(
            name="topics",
            command=_python("millrace.cli.main", "topics", "apply"),
            depends_on=("kafka", "registry"),
            ready=Probe("exit"),
            oneshot=True,
            memory=128,
        ),
        Process(
            name="jobs",
            command=_python("millrace.flink.keeper"),
            ports={"health": settings.port("jobs")},
            depends_on=("topics", "taskmanager"),
            ready=Probe("http", f"http://{settings.host}:{settings.port('jobs')}/healthz"),
            memory=1024,
        ),
        *consumers,
        Process(
            name="api",
            command=_python("serving.api"),
            ports={"http": settings.port("api")},
            depends_on=("topics", "redis"),
            ready=Probe("http", f"http://{settings.host}:{settings.port('api')}/readyz"),
            memory=384,
        ),
    ]


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def selected(settings: Settings, only: tuple[str, ...]) -> dict[str, Process]:
    """The named processes with everything they depend on, in order; all when none is named.

    Raises `UserError` for a name that does not exist.
    """
    every = processes(settings)
    unknown = [name for name in only if name not in every]
    if unknown:
        raise UserError(f"no process named {', '.join(unknown)}; there are: {', '.join(every)}")
    wanted = set(only) or set(every)
    for name in reversed(every):
        if name in wanted:
            wanted.update(every[name].depends_on)
    return {name: process for name, process in every.items() if name in wanted}
