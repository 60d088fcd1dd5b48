"""Probe whether processes are ready, and what a ready one waits for.

There is one function for each kind of probe, which returns None when ready, else what is missing.
`python -m millrace.stack.probes NAME`, which containers use, exits with 0 when the process is ready
and else prints the reason.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from config.errors import UserError
from config.settings import Settings, settings
from millrace.stack.process import Process
from millrace.stack.processes import declared

TIMEOUT = 2.0


def missing(process: Process, settings: Settings) -> str | None:
    """Return None when the process is ready, else the reason in a few words.

    Never raise for an unreachable process.
    """
    return PROBES[process.ready.kind](process, settings)


def waiting(process: Process) -> str | None:
    """Return what a ready process waits for that a person has to bring, or None.

    Its health page says so: `{"ready": true, "waiting": {name: why}}`. Never raise for an
    unreachable process.
    """
    told = reasons(process.ready.target) if process.ready.kind == "http" else []
    return f"waiting: {'; '.join(told)}" if told else None


def reasons(health: str) -> list[str]:
    """Return the reasons for which a ready process waits, as its health page at that URL says."""
    try:
        with urlopen(health, timeout=TIMEOUT) as answer:  # noqa: S310  (ours)
            page = json.load(answer)
    except (OSError, HTTPException, ValueError):
        return []
    told = page.get("waiting") if isinstance(page, dict) else None
    return [str(why) for why in told.values()] if isinstance(told, dict) else []


def listens(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT):
            return True
    except OSError:
        return False


def _http(process: Process, _settings: Settings) -> str | None:
    try:
        with urlopen(process.ready.target, timeout=TIMEOUT):  # noqa: S310  (the target is ours)
            return None
    except HTTPError as error:
        return _told(error.read(2000)) or f"HTTP {error.code}"
    except (URLError, OSError, HTTPException) as error:
        return f"{process.ready.target}: {getattr(error, 'reason', error)}"


def _component(process: Process, _settings: Settings) -> str | None:
    """Look at one of the components that a page of Airflow's lists: `URL#component`."""
    page, _, name = process.ready.target.partition("#")
    try:
        with urlopen(page, timeout=TIMEOUT) as answer:  # noqa: S310  (the target is ours)
            status = json.load(answer)[name]["status"]
    except (URLError, OSError, HTTPException) as error:
        return f"{page}: {getattr(error, 'reason', error)}"
    except (ValueError, TypeError, KeyError) as error:
        return f"{page} does not tell of it: {error!r}"
    return None if status == "healthy" else f"its heartbeat is {status or 'not there yet'}"


def _told(body: bytes) -> str:
    """Return a health page's `missing` (`{name: why}`) in words, else its text."""
    try:
        missing = json.loads(body)["missing"]
        return "; ".join(f"{name}: {why}" for name, why in missing.items())
    except (ValueError, TypeError, KeyError, AttributeError):
        return body.decode(errors="replace").strip()


def _redis(_process: Process, settings: Settings) -> str | None:
    import redis

    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=TIMEOUT) as client:
            client.ping()
    except redis.RedisError as error:
        return str(error)
    return None


def _kafka(process: Process, settings: Settings) -> str | None:
    if process.ports and not listens(settings.host, process.ports["broker"]):
        return "the broker's port does not answer"
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient(
        {"bootstrap.servers": process.ready.target, "log_level": 0, "socket.timeout.ms": 2000}
    )
    try:
        client.list_topics(timeout=TIMEOUT)
    except KafkaException as error:
        return str(error)
    return None


def _taskmanager(process: Process, settings: Settings) -> str | None:
    if not listens(settings.host, process.ports["rpc"]):
        return "its port does not answer"
    try:
        with urlopen(f"{process.ready.target}/overview", timeout=TIMEOUT) as answer:  # noqa: S310
            registered = json.load(answer)["taskmanagers"]
    except (URLError, OSError, HTTPException, ValueError) as error:
        return f"JobManager: {getattr(error, 'reason', error)}"
    return None if registered else "not registered with the JobManager"


def _exit(_process: Process, _settings: Settings) -> str | None:
    return None  # Supervisor knows: see millrace.stack.status


PROBES: dict[str, Callable[[Process, Settings], str | None]] = {
    "http": _http,
    "component": _component,
    "redis": _redis,
    "kafka": _kafka,
    "taskmanager": _taskmanager,
    "exit": _exit,
}


def main() -> None:
    """Probe once."""
    try:
        loaded = settings()
        why = missing(declared(loaded)[sys.argv[1]], loaded)
    except UserError as error:
        why = str(error)
    if why is not None:
        sys.exit(why)


if __name__ == "__main__":
    main()
