"""Declare every process of the stack, once, as data.

Supervisor, docker-compose, `status` and `doctor` all read this.
"""

from __future__ import annotations

from functools import partial

from config.errors import UserError
from config.products import (
    Consumer,
    Product,
    groups,
    known_groups,
    products,
    running,
    running_jobs,
    setups,
)
from config.settings import Settings
from millrace.stack import environ
from millrace.stack.parts import airflow, flink, kafka, monitoring, redis, registry
from millrace.stack.process import Probe, Process, health, python


def _keys(settings: Settings) -> dict[str, str]:
    return {"MILLRACE_API_KEYS": environ.api_keys(settings)}


def declared(settings: Settings) -> dict[str, Process]:
    """Return every process of every group by name, dependencies before their dependents.

    Raise UserError for two processes that claim one port.
    """
    every = {
        process.name: process
        for process in (
            *_infrastructure(settings),
            *_ours(settings, products(settings)),
            *airflow.processes(settings),
            *monitoring.processes(settings),
        )
    }
    claimed: dict[int, str] = {}
    for process in every.values():
        for port in process.ports.values():
            holder = claimed.setdefault(port, process.name)
            if holder != process.name:
                raise UserError(f"port {port} is claimed twice: by {holder} and by {process.name}")
    return every


def processes(settings: Settings) -> dict[str, Process]:
    """Return the processes of the enabled groups, with all their dependencies, in order."""
    every, on = declared(settings), groups(settings)
    return _with_dependencies(every, {name for name, one in every.items() if one.groups & on})


def _with_dependencies(every: dict[str, Process], wanted: set[str]) -> dict[str, Process]:
    for name in reversed(every):
        if name in wanted:
            wanted = wanted.union(every[name].depends_on)
    return {name: process for name, process in every.items() if name in wanted}


def _infrastructure(settings: Settings) -> list[Process]:
    port = settings.port
    jvm_extra = 160  # metaspace, code cache and threads beside a small JVM's heap
    jars = tuple(f"{setup}'s jars" for setup in setups(settings))
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
            serves=jars,
            ready=Probe("http", f"{settings.flink_rest}/overview"),
            memory=flink.mebibytes(settings.flink_jobmanager_memory),
        ),
        Process(
            name="taskmanager",
            command=flink.taskmanager(settings),
            prepare=partial(flink.prepare, name="taskmanager"),
            # With an arena for every thread, RocksDB's allocations would grow the process with each
            # job.
            env={
                **flink.environment(settings),
                "MALLOC_ARENA_MAX": "1",
                "PYTHONPATH": flink.python_path(settings),
            },
            ports={
                "rpc": port("flink_taskmanager"),
                "data": port("flink_data"),
                "metrics": port("flink_taskmanager_metrics"),
            },
            depends_on=("jobmanager",),
            serves=(f"{flink.task_slots(settings)} slots", *jars),
            ready=Probe("taskmanager", settings.flink_rest),
            memory=flink.mebibytes(settings.flink_taskmanager_memory),
        ),
    ]


def _ours(settings: Settings, every: tuple[Product, ...]) -> list[Process]:
    return [
        Process(
            name="topics",
            command=python("millrace.cli.main", "topics", "apply"),
            depends_on=("kafka", "registry"),
            ready=Probe("exit"),
            oneshot=True,
            memory=128,
        ),
        Process(
            name="jobs",
            command=python("millrace.flink.keeper"),
            ports={"health": settings.port("jobs")},
            depends_on=("topics", "taskmanager"),
            # It prepares a client while it waits.
            early=True,
            ready=Probe("http", health(settings, settings.port("jobs"))),
            memory=1024,
            serves=running_jobs(settings),
        ),
        *(
            _consumer(settings, product, consumer)
            for product in every
            for consumer in product.consumers
        ),
        Process(
            name="api",
            command=python("serving.api"),
            ports={"http": settings.port("api")},
            depends_on=("topics", "redis"),
            secrets=_keys,
            ready=Probe("http", health(settings, settings.port("api"))),
            memory=384,
            serves=tuple(route for product in running(settings) for route in product.routes),
        ),
    ]


def _consumer(settings: Settings, product: Product, consumer: Consumer) -> Process:
    port = consumer.port + settings.port_offset
    return Process(
        name=f"consumer-{consumer.name}",
        command=python(consumer.module),
        group=product.group,
        also=product.also,
        ports={"metrics": port},
        depends_on=("topics", "redis"),
        ready=Probe("http", health(settings, port)),
        memory=consumer.memory,
    )


def selected(settings: Settings, only: tuple[str, ...]) -> dict[str, Process]:
    """Return the named processes and groups, or the enabled ones, with their dependencies.

    A group consists of its processes and, if its products have jobs or routes, the keeper or the
    API. Raise UserError for a name that is neither a process's nor a group's.
    """
    if not only:
        return processes(settings)
    every, known = declared(settings), known_groups(settings)
    unknown = [name for name in only if name not in every and name not in known]
    if unknown:
        raise UserError(
            f"no process or group named {', '.join(unknown)}; there are: "
            f"{', '.join(every)}; groups: {', '.join(known)}"
        )
    wanted = {name for name in only if name in every}
    for group in set(only) - set(every):
        wanted |= {name for name, one in every.items() if group in one.groups}
        members = [product for product in products(settings) if group in product.groups]
        if any(product.jobs for product in members):
            wanted.add("jobs")
        if any(product.routes for product in members):
            wanted.add("api")
    return _with_dependencies(every, wanted)
