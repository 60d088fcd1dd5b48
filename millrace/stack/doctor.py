"""Diagnose this machine and this stack, and name the command that mends each fault."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from config.errors import RetryableError, UserError
from config.products import groups, known_groups, running_jobs
from config.settings import Settings
from millrace.flink import rest as cluster
from millrace.flink.jobs import stopped_on_purpose
from millrace.stack import environ, orphans, ports, probes
from millrace.stack.layout import Layout
from millrace.stack.lifecycle import missing
from millrace.stack.parts.jvm import OLDEST, java
from millrace.stack.process import Process
from millrace.stack.processes import processes
from millrace.stack.supervisor import Info, Supervisor

SETUP = "make setup"
LEAST_FREE_DISK = 2 * 1024**3
# So many intervals without a checkpoint are a fault; one checkpoint that is slow, or failed and was
# retried, is not.
LATE_INTERVALS = 20
# The message of a waiting process has the command to type in backquotes.
COMMAND = re.compile("`(millrace [^`]+)`")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` is the command to type, empty if all is well."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def examine(settings: Settings) -> list[Check]:
    """Return every check; those of parts only while the stack runs, of the enabled groups."""
    layout = Layout.of(settings)
    settings = environ.widen(layout, settings)
    info = Supervisor(layout).info()
    checks = [
        *_tools(layout),
        *_machine(settings, layout, running=bool(info)),
        *_ports(settings, info),
        _groups(settings),
    ]
    checks += _left_over(layout, info)
    return checks + (
        _running(settings, info)
        if info
        else [Check("stack", True, "not running; `millrace up` starts it")]
    )


def _tools(layout: Layout) -> Iterator[Check]:
    yield _java()
    redis = shutil.which("redis-server")
    yield Check("redis-server", redis is not None, redis or "not found", "" if redis else SETUP)
    for name, found in {
        "kafka jars": any(layout.kafka_jars.glob("kafka_2.13-*.jar")),
        "registry": layout.registry_jar.exists(),
        "flink": (layout.flink_home / "lib").exists() and layout.flink_python.exists(),
        "flink connector": any(layout.flink_jars.glob("*.jar")),
    }.items():
        yield Check(name, found, "in place" if found else "missing", "" if found else SETUP)
    yield _kernel(layout)
    yield _locked(layout)


def _java() -> Check:
    try:
        path = java()
        words = subprocess.run(
            (path, "-version"), capture_output=True, text=True, check=True
        ).stderr
    except (UserError, OSError, subprocess.CalledProcessError) as error:
        return Check("java", False, str(error), SETUP)
    version = re.search(r'version "(\d+)', words)
    ok = version is not None and int(version[1]) >= OLDEST
    return Check("java", ok, f"{path}: {words.splitlines()[0]}", "" if ok else SETUP)


def _kernel(layout: Layout) -> Check:
    jar, sources = layout.kernel_jar, layout.root / "processing" / "kernel"
    if not jar.exists():
        return Check("kernel", False, f"{jar} is not built", SETUP)
    newest = max(
        (path.stat().st_mtime for path in (sources / "src" / "main").rglob("*.java")), default=0.0
    )
    stale = newest > jar.stat().st_mtime
    return Check(
        "kernel", not stale, "older than its sources" if stale else "built", SETUP if stale else ""
    )


def _locked(layout: Layout) -> Check:
    digest = hashlib.sha256()
    for name in ("uv.lock", "pyproject.toml"):
        digest.update((layout.root / name).read_bytes())
    identity = digest.hexdigest()[:16]
    stamps = layout.build / "stamps"
    have = {path.name for path in stamps.glob("venv-*") if path.read_text().strip() == identity}
    # The application's environment has a stamp for each set of groups that set-up synced it with.
    ok = "venv-flink" in have and any(name.startswith(("venv-test", "venv-demo")) for name in have)
    return Check(
        "environments",
        ok,
        "as uv.lock says" if ok else "not synced from uv.lock",
        "" if ok else SETUP,
    )


def _machine(settings: Settings, layout: Layout, *, running: bool) -> Iterator[Check]:
    folder = layout.state
    while not folder.exists():
        folder = folder.parent
    unfit = layout.unfit()
    yield Check(
        "folders",
        unfit is None,
        unfit or "of plain names",
        "choose another folder" if unfit else "",
    )
    writable = os.access(folder, os.W_OK)
    yield Check(
        "state folder", writable, str(layout.state), "" if writable else f"chown $USER {folder}"
    )
    free = shutil.disk_usage(folder).free
    enough = free >= LEAST_FREE_DISK
    yield Check(
        "disk",
        enough,
        f"{free / 1024**3:.1f} GiB free",
        "" if enough else "millrace reset, or free some space",
    )
    if not running:
        need = sum(process.memory for process in processes(settings).values()) * 1024**2
        have = psutil.virtual_memory().available
        fix = "" if have >= need else "free memory, or lower MILLRACE_FLINK_TASKMANAGER_MEMORY"
        yield Check(
            "memory",
            have >= need,
            f"{have / 1024**3:.1f} GiB, up to {need / 1024**3:.1f} needed",
            fix,
        )


def _ports(settings: Settings, info: dict[str, Info]) -> Iterator[Check]:
    idle = [
        process
        for process in processes(settings).values()
        if not (info.get(process.name) and info[process.name].pid)
    ]
    found = ports.taken(idle, settings.host)
    for one in found:
        kill = f"kill {one.pid}" if one.pid else "free it"
        detail = f"{one.port} ({one.process} {one.purpose}) is taken by {one.holder}"
        yield Check(
            f"port {one.port}", False, detail, f"{kill}, or export MILLRACE_PORT_OFFSET=1000"
        )
    if not found:
        yield Check("ports", True, "free" if not info else "free, or held by the stack")


def _groups(settings: Settings) -> Check:
    on = groups(settings)
    off = [name for name in known_groups(settings) if name not in on]
    return Check(
        "groups",
        True,
        f"on: {', '.join(sorted(on))}; off: {', '.join(off) or 'none'}",
    )


def _left_over(layout: Layout, info: dict[str, Info]) -> list[Check]:
    left = orphans.orphans(layout, {one.pid for one in info.values()})
    names = ", ".join(f"{one.name} (pid {one.pid})" for one in left)
    detail = f"running without their Supervisor: {names}" if left else "none"
    return [Check("orphans", not left, detail, "millrace down" if left else "")]


def _running(settings: Settings, info: dict[str, Info]) -> list[Check]:
    checks = [
        _process(settings, process, info.get(process.name))
        for process in processes(settings).values()
    ]
    keeper = info.get("jobs")
    return checks + (_jobs(settings) if keeper and keeper.state == "RUNNING" else [])


def _process(settings: Settings, process: Process, info: Info | None) -> Check:
    # Processes left out by `up --only` were never started; one that was started and then stopped is
    # missed by those that still run.
    if info is None or (info.state == "STOPPED" and not info.started):
        return Check(process.name, True, "not started: `up --only` left it out")
    if info.state == "STOPPED":
        return Check(
            process.name, False, "stopped while others run", f"millrace up --only {process.name}"
        )
    if why := missing(process, settings, info):
        return Check(process.name, False, why, f"millrace logs {process.name}")
    if told := probes.waiting(process):
        command = COMMAND.search(told)
        return Check(
            process.name, False, told, command[1] if command else f"millrace logs {process.name}"
        )
    return Check(process.name, True, "ready")


def _jobs(settings: Settings) -> list[Check]:
    try:
        cluster.overview(settings)
    except RetryableError as error:
        return [Check("jobs of the cluster", False, str(error), "millrace logs jobmanager")]
    living = {job.name: job for job in cluster.listing(settings)}
    return [_job(settings, name, living.get(name)) for name in running_jobs(settings)]


def _job(settings: Settings, name: str, job: cluster.Job | None) -> Check:
    label = f"job {name}"
    if stopped_on_purpose(settings, name):
        return Check(label, True, f"stopped on purpose; `millrace jobs submit {name}` starts it")
    if job is None:
        return Check(label, False, "not submitted", "millrace logs jobs")
    if not job.running:
        return Check(
            label,
            False,
            f"{job.state}, {job.tasks_running} of {job.tasks} tasks run",
            "millrace logs jobs",
        )
    return _checkpoints(settings, label, job)


def _checkpoints(settings: Settings, label: str, job: cluster.Job) -> Check:
    never = job.checkpoint_age_s is None
    age_s = job.age_s if job.checkpoint_age_s is None else job.checkpoint_age_s
    late = age_s * 1000 > LATE_INTERVALS * settings.flink_checkpoint_interval_ms
    found = (
        f"no checkpoint since its start {age_s:.0f} s ago"
        if never
        else f"last checkpoint {age_s:.0f} s ago"
    )
    failed = f", {job.checkpoints_failed} failed" if job.checkpoints_failed else ""
    return Check(
        label, not late, f"running, {found}{failed}", "millrace logs taskmanager" if late else ""
    )
