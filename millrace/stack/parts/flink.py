"""Run Flink's session cluster from the pip package.

Configuration, memory, command lines and the folder of jars.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlparse

import yaml

from config.errors import UserError
from config.files import write
from config.products import products, running_jobs, setups
from config.settings import Settings
from millrace.stack.layout import Layout
from millrace.stack.parts import workers
from millrace.stack.parts.jvm import (
    FIRST_COMPILER,
    clear_temporary,
    compilers,
    java,
    temporary,
)

MEBI = 1024 * 1024
PROMETHEUS_REPORTER = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"

# The parts of a TaskManager that do not grow with it. Framework heap and off-heap are Flink's
# defaults.
METASPACE, OVERHEAD, NETWORK, FRAMEWORK_HEAP, FRAMEWORK_OFF_HEAP = 192, 128, 64, 128, 128
# For the buffers of SQL's own operators: they refuse a slot with little, whatever the size of the
# rest (6 MiB was too little).
MANAGED_PER_SLOT = 32
LEAST_SLOTS = 4  # a further job, or a benchmark's, finds one free
# Of the remainder: block cache and write buffers of all jobs together. The kernel keeps heads of
# hot keys in two fifths of the heap (HeapBudget.java).
ROCKSDB_FRACTION = 0.4
LEAST_WORKING = 128  # MiB of heap and RocksDB together
KEPT_LIBS = 5

QUIET = "rootLogger.level = ERROR"
LOG4J = """\
monitorInterval = 30
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} %x - %m%n
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.checkpoints.name = org.apache.flink.runtime.checkpoint.CheckpointCoordinator
logger.checkpoints.level = WARN
logger.metrics.name = org.apache.flink.metrics.MetricGroup
logger.metrics.level = ERROR
logger.netty.name = org.jboss.netty.channel.DefaultChannelPipeline
logger.netty.level = OFF
"""


def mebibytes(size: str) -> int:
    """Return `"2048m"` or `"2g"` in MiB. Raise UserError for anything else."""
    match = re.fullmatch(r"(\d+)\s*([mg])b?", size.strip().lower())
    if not match:
        raise UserError(f"memory size {size!r} is not a number followed by m or g")
    return int(match[1]) * (1024 if match[2] == "g" else 1)


def task_slots(settings: Settings) -> int:
    """Return the TaskManager's slots: as set, else as many as the enabled groups' jobs take."""
    needed = len(running_jobs(settings)) * settings.flink_parallelism
    return settings.flink_task_slots or max(LEAST_SLOTS, needed)


def taskmanager_memory(total: str, slots: int = LEAST_SLOTS) -> dict[str, int]:
    """Return the MiB of each part of the process of a TaskManager with that many slots.

    Flink's own scripts work this out with a JVM of their own, at 1.5 s a start; the sum is simple
    enough to do here. Raise UserError for an invalid size and one too small for the slots.
    https://nightlies.apache.org/flink/flink-docs-release-2.1/docs/deployment/memory/mem_setup_tm/
    """
    fixed = METASPACE + OVERHEAD + NETWORK + FRAMEWORK_HEAP + FRAMEWORK_OFF_HEAP
    managed = MANAGED_PER_SLOT * slots
    rest = mebibytes(total) - fixed - managed
    if rest < LEAST_WORKING:
        least = fixed + managed + LEAST_WORKING
        raise UserError(
            f"flink_taskmanager_memory={total} is too small for {slots} slots: at least {least}m"
        )
    rocksdb = int(rest * ROCKSDB_FRACTION)
    return {"rocksdb": rocksdb, "managed": managed, "task_heap": rest - rocksdb}


def config(settings: Settings) -> dict[str, object]:
    """Return `config.yaml` with flat keys.

    It is the same in every container: the addresses a process binds are on its command line.
    """
    slots = task_slots(settings)
    memory = taskmanager_memory(settings.flink_taskmanager_memory, slots)
    rest = urlparse(settings.flink_rest)
    state = settings.state_dir / "flink"
    return {
        "jobmanager.rpc.address": rest.hostname,
        "jobmanager.rpc.port": settings.port("flink_rpc"),
        "rest.address": rest.hostname,
        "rest.port": rest.port,
        "rest.bind-port": str(settings.port("flink_rest")),
        "web.submit.enable": False,
        "blob.server.port": str(settings.port("flink_blob")),
        "taskmanager.rpc.port": str(settings.port("flink_taskmanager")),
        "taskmanager.data.port": settings.port("flink_data"),
        # A fixed name, so that a TaskManager that restarts at once takes the place of the killed
        # one.
        "taskmanager.resource-id": "taskmanager",
        "taskmanager.numberOfTaskSlots": slots,
        "taskmanager.cpu.cores": float(slots),
        "taskmanager.memory.task.heap.size": f"{memory['task_heap']}m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.managed.size": f"{memory['managed']}m",
        "taskmanager.memory.network.min": f"{NETWORK}m",
        "taskmanager.memory.network.max": f"{NETWORK}m",
        "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_HEAP}m",
        "taskmanager.memory.framework.off-heap.size": f"{FRAMEWORK_OFF_HEAP}m",
        "taskmanager.memory.jvm-metaspace.size": f"{METASPACE}m",
        "taskmanager.memory.jvm-overhead.min": f"{OVERHEAD}m",
        "taskmanager.memory.jvm-overhead.max": f"{OVERHEAD}m",
        "parallelism.default": settings.flink_parallelism,
        "state.backend.type": "rocksdb",
        "state.backend.rocksdb.use-bloom-filter": True,
        # One cache that every job of the TaskManager shares. Managed memory would give each slot a
        # fixed share, and a job that is alone would leave the others' unused (docs/decisions/0007).
        "state.backend.rocksdb.memory.managed": False,
        "state.backend.rocksdb.memory.fixed-per-tm": f"{memory['rocksdb']}m",
        # A checkpoint flushes the write buffer while the task waits: 64 MB, the default, would be a
        # pause.
        "state.backend.rocksdb.writebuffer.size": "32mb",
        # Its files are copied while events continue: one thread leaves the other core to them.
        "state.backend.rocksdb.checkpoint.transfer.thread.num": 1,
        # Most of a cold key's cost is unpacking its block; Snappy takes three times as long.
        "state.backend.rocksdb.compression.per.level": "LZ4_COMPRESSION",
        "execution.checkpointing.incremental": True,
        "execution.checkpointing.interval": f"{settings.flink_checkpoint_interval_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.timeout": "2 min",
        # A failed checkpoint (a broker away) is retried: no reason to discard the job's work.
        "execution.checkpointing.tolerable-failed-checkpoints": 1000,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": 2,
        "execution.checkpointing.dir": uri(state / "checkpoints"),
        "execution.checkpointing.savepoint-dir": uri(state / "savepoints"),
        "execution.buffer-timeout.interval": f"{settings.flink_buffer_timeout_ms} ms",
        "pipeline.object-reuse": True,
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.backoff-multiplier": 1.5,
        "restart-strategy.exponential-delay.max-backoff": "5 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        # A killed TaskManager is given up after two unanswered calls, a silent one after 8 s.
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 8000,
        "heartbeat.rpc-failure-threshold": 2,
        "metrics.reporter.prom.factory.class": PROMETHEUS_REPORTER,
        "classloader.check-leaked-classloader": False,
        "python.client.executable": str(Layout.of(settings).flink_python),
        "python.executable": str(Layout.of(settings).flink_python),
        # Hadoop's own file system would put a file of checksums beside each.
        "flink.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        "env.java.opts.all": java_options(Layout.of(settings)),
    }


def uri(path: Path) -> str:
    """Return a folder as Flink takes it.

    It is not a URI, because Flink takes the `%40` that `as_uri` makes of an @ for the folder's
    name.
    """
    return f"file://{path}"


def java_options(layout: Layout) -> str:
    """Return the `--add-opens` that Flink's own configuration gives every JVM from 17 on.

    Raise UserError without PyFlink.
    """
    shipped = layout.flink_home / "conf" / "config.yaml"
    if not shipped.exists():
        raise UserError(f"no PyFlink in {layout.root / '.venv-flink'}: type `make setup`")
    return _all_options(shipped)


@lru_cache(maxsize=4)
def _all_options(shipped: Path) -> str:
    return str(yaml.safe_load(shipped.read_text())["env"]["java"]["opts"]["all"])


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment by which Flink's scripts and processes find their folders."""
    layout = Layout.of(settings)
    return {
        # The trailing slash: Flink's scripts list it with `find`, which does not follow a link by
        # itself.
        "FLINK_LIB_DIR": f"{layout.flink_lib}/",
        "FLINK_CONF_DIR": str(layout.flink_conf),
        "FLINK_LOG_DIR": str(layout.logs),
        "FLINK_PLUGINS_DIR": str(layout.flink_home / "plugins"),
        "JAVA_HOME": str(Path(java()).resolve().parent.parent),
        **workers.environment(layout),
    }


def python_path(settings: Settings) -> str:
    """Return `PYTHONPATH` of a TaskManager, which runs functions in Python within itself."""
    layout = Layout.of(settings)
    folders = [one.root for one in products(settings) if one.outside and one.root == one.folder]
    return os.pathsep.join(
        map(str, dict.fromkeys([layout.root, *folders, layout.flink_home.parent]))
    )


def jobmanager(settings: Settings) -> tuple[str, ...]:
    """Return the JobManager's command line. Raise UserError below 512m."""
    heap = mebibytes(settings.flink_jobmanager_memory) - 256
    if heap < 256:
        raise UserError(
            f"flink_jobmanager_memory={settings.flink_jobmanager_memory} is too small: "
            "at least 512m"
        )
    # It decides little and often: the second compiler would only take time from the jobs.
    light = ("-XX:+UseSerialGC", *FIRST_COMPILER)
    options = (f"-Xmx{heap}m", "-XX:MaxMetaspaceSize=192m", *light)
    main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    bound = (f"-Djobmanager.bind-host={settings.host}", f"-Drest.bind-address={settings.host}")
    return (*_java(settings, options, main, "jobmanager"), *bound, "--executionMode", "cluster")


def taskmanager(settings: Settings) -> tuple[str, ...]:
    """Return the TaskManager's command line."""
    memory = taskmanager_memory(settings.flink_taskmanager_memory, task_slots(settings))
    heap = memory["task_heap"] + FRAMEWORK_HEAP
    options = (
        f"-Xms{heap}m",
        f"-Xmx{heap}m",
        f"-XX:MaxDirectMemorySize={FRAMEWORK_OFF_HEAP + NETWORK}m",
        f"-XX:MaxMetaspaceSize={METASPACE}m",
        "-XX:+UseG1GC",
        *compilers(settings),
    )
    main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    bound = (f"-Dtaskmanager.host={settings.host}", f"-Dtaskmanager.bind-host={settings.host}")
    return (*_java(settings, options, main, "taskmanager"), *bound)


def _java(settings: Settings, tuning: tuple[str, ...], main: str, name: str) -> tuple[str, ...]:
    layout = Layout.of(settings)
    return (
        java(),
        *tuning,
        *java_options(layout).split(),
        temporary(layout, name),
        f"-Dlog4j.configurationFile={layout.flink_conf / 'log4j-console.properties'}",
        "-cp",
        f"{layout.flink_lib}/*",
        main,
        "--configDir",
        str(layout.flink_conf),
        f"-Dio.tmp.dirs={layout.scratch(name)}",
        f"-Dmetrics.reporter.prom.port={settings.port(f'flink_{name}_metrics')}",
    )


def prepare(settings: Settings, name: str) -> None:
    """Write the configuration and empty the process's scratch folder.

    A process that was killed leaves its RocksDB files there.
    """
    layout = Layout.of(settings)
    conf = layout.flink_conf
    write(conf / "config.yaml", yaml.safe_dump(config(settings), width=10_000, sort_keys=False))
    write(conf / "log4j-console.properties", LOG4J)
    # A client's planner logs hundreds of lines about types that it does not use.
    write(conf / "log4j-cli.properties", LOG4J.replace("rootLogger.level = INFO", QUIET))
    workers.prepare(layout)
    clear_temporary(layout, name)
    for folder in (layout.checkpoints, layout.savepoints, layout.jobs, layout.logs):
        folder.mkdir(parents=True, exist_ok=True)
    if name == "jobmanager" or not layout.flink_lib.exists():
        link_lib(layout, assemble(layout, setups(settings)))


def assemble(layout: Layout, setups: Iterable[str] = ()) -> Path:
    """Return the folder of jars for the current build, made when missing.

    `setups` are those whose jars belong into it beside Flink's own and the connectors.

    Its name holds the hash of its content, and the kernel's jar is copied under a name with its
    hash: a jar that a running cluster has open is never overwritten, and a rebuilt kernel gets a
    new folder. The oldest folders are removed. Raise UserError if jars are missing.
    """
    shipped = sorted((layout.flink_home / "lib").glob("*.jar"))
    # Jobs with functions in Python need it, and it holds a native library, which only one class
    # loader of a process may load: a job's own would be another after each restart of the job.
    shipped += sorted((layout.flink_home / "opt").glob("flink-python-*.jar"))
    fetched = sorted(layout.flink_jars.glob("*.jar"))
    if not shipped or not fetched:
        empty = layout.flink_jars if shipped else layout.flink_home / "lib"
        raise UserError(f"Flink's jars are missing in {empty}: type `make setup`")
    for setup in setups:
        more = sorted(layout.jars(setup).glob("*.jar"))
        if not more:
            raise UserError(
                f"jars are missing in {layout.jars(setup)}: type `scripts/setup.sh --with {setup}`"
            )
        fetched += more
    kernel = layout.kernel_jar
    kernel_hash = hashlib.sha256(kernel.read_bytes()).hexdigest()[:12] if kernel.exists() else None
    identity = "\n".join([str(path) for path in (*shipped, *fetched)] + [kernel_hash or "none"])
    folder = layout.build / "flink" / f"lib-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    making = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for jar in (*shipped, *fetched):
        (making / jar.name).symlink_to(jar)
    if kernel_hash:
        shutil.copyfile(kernel, making / f"millrace-kernel-{kernel_hash}.jar")
    try:
        making.rename(folder)
    except OSError:
        # Another process has made the same at the same time.
        shutil.rmtree(making, ignore_errors=True)
        return folder
    for old in sorted(folder.parent.glob("lib-*"), key=lambda path: path.stat().st_mtime)[
        :-KEPT_LIBS
    ]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def link_lib(layout: Layout, folder: Path) -> None:
    """Make `FLINK_LIB_DIR` point to `folder`, atomically."""
    layout.flink_lib.parent.mkdir(parents=True, exist_ok=True)
    making = layout.flink_lib.with_name(f".lib.{os.getpid()}")
    making.unlink(missing_ok=True)
    making.symlink_to(folder)
    making.replace(layout.flink_lib)
