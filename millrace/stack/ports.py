"""Find taken ports and their holders."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from config.errors import UserError
from millrace.stack.process import Process


@dataclass(frozen=True, slots=True)
class Taken:
    """A port that another process holds.

    `holder` is "pid 12 (java …)", or says that this user may not see it.
    """

    process: str
    purpose: str
    port: int
    holder: str
    pid: int | None


def taken(wanted: Iterable[Process], host: str) -> list[Taken]:
    """Return the declared ports that cannot be bound."""
    found = [
        (process.name, purpose, port)
        for process in wanted
        for purpose, port in process.ports.items()
        if not bindable(host, port)
    ]
    return [Taken(name, purpose, port, *_holder(port)) for name, purpose, port in found]


def bindable(host: str, port: int) -> bool:
    """Return whether a server could listen there.

    `SO_REUSEADDR` ignores connections of a server that is gone.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def listener(port: int) -> int | None:
    """Return the pid of the process that listens on the port; None if this user may not see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port:
                return connection.pid
    except psutil.AccessDenied:
        pass
    return None


def _holder(port: int) -> tuple[str, int | None]:
    pid = listener(port)
    return f"pid {pid} ({_command(pid)})" if pid else "a process that this user may not see", pid


def _command(pid: int) -> str:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return "?"
    text = " ".join(words)
    return text if len(text) <= 80 else f"{text[:30]} … {text[-45:]}"


def refuse_taken(wanted: Iterable[Process], host: str) -> None:
    """Raise UserError naming each taken port, its holder and the command to type."""
    found = taken(wanted, host)
    if not found:
        return
    lines = [
        f"port {one.port} ({one.process} {one.purpose}) is taken by {one.holder}" for one in found
    ]
    pids = sorted({str(one.pid) for one in found if one.pid})
    free = f"free it (`kill {' '.join(pids)}`)" if pids else "free it"
    raise UserError(
        f"{'; '.join(lines)}. Either {free}, or move all ports: `export MILLRACE_PORT_OFFSET=1000`"
    )
