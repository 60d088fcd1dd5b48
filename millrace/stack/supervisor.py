"""Drive Supervisor (supervisord.org).

Renders its configuration from the processes, and calls its XML-RPC socket.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import psutil

from config.errors import UserError
from config.files import write
from config.settings import ROOT
from millrace.stack import environ
from millrace.stack.layout import Layout
from millrace.stack.orphans import wait_gone
from millrace.stack.process import Process

LONGEST_SOCKET_PATH = 100  # the kernel's limit is 108 bytes
BAD_NAME, NOT_RUNNING, ALREADY_STARTED, ALREADY_ADDED, STILL_RUNNING = 10, 70, 60, 90, 91


def socket_path(layout: Layout) -> Path:
    """Return Supervisor's socket, in the temporary folder if the state's path is too long."""
    path = layout.run / "supervisor.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    return (
        Path(tempfile.gettempdir())
        / f"millrace-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.sock"
    )


def render(layout: Layout, declared: Iterable[Process], python: str = sys.executable) -> str:
    """Return `supervisord.conf`.

    Programs do not start by themselves: `up` starts them in the order of their readiness.
    """
    socket = socket_path(layout)
    head = f"""\
[supervisord]
logfile={layout.logs / "supervisord.log"}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={layout.run / "supervisord.pid"}
childlogdir={layout.logs}
directory={ROOT}
identifier=millrace
[unix_http_server]
file={socket}
chmod=0700
[supervisorctl]
serverurl=unix://{socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    # '%' starts an expansion in Supervisor's configuration.
    return head.replace("%", "%%") + "".join(
        _program(layout, process, python) for process in declared
    )


def _program(layout: Layout, process: Process, python: str) -> str:
    environment = environ.file(layout, process.name)
    lines = {
        "command": f'"{python}" -m millrace.stack.run {process.name} "{environment}"',
        "directory": str(ROOT),
        "autostart": "false",
        "autorestart": "false" if process.oneshot else "true",
        "startsecs": "0" if process.oneshot else "1",
        # It backs off a second longer each time, and must not give up while a dependency is away
        # for minutes.
        "startretries": "0" if process.oneshot else "1000",
        "stopsignal": "TERM",
        "stopwaitsecs": "15",
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(layout.logs / f"{process.name}.log"),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "2",
    }
    body = "".join(f"{key}={value.replace('%', '%%')}\n" for key, value in lines.items())
    return f"[program:{process.name}]\n{body}"


@dataclass(frozen=True, slots=True)
class Info:
    """Supervisor's record of a process.

    `state` is its word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL.
    """

    name: str
    state: str
    pid: int
    started: float
    exit_status: int


class Supervisor:
    """The daemon of one state folder."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def running(self) -> bool:
        """Return whether the daemon answers."""
        try:
            self._call("getState")
        except UserError:
            return False
        return True

    def start(self, declared: Iterable[Process]) -> None:
        """Start the daemon, or add unknown processes to the running one.

        Raise UserError if it does not start.
        """
        path = self._layout.run / "supervisord.conf"
        write(path, render(self._layout, declared))
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        if self.running():
            self._update()
            return
        daemon = Path(sys.executable).with_name("supervisord")
        done = subprocess.run(
            (str(daemon), "-c", str(path)), capture_output=True, text=True, check=False, cwd=ROOT
        )
        if done.returncode:
            raise UserError(f"supervisord does not start: {(done.stderr or done.stdout).strip()}")
        deadline = time.monotonic() + 10
        while not self.running():
            if time.monotonic() > deadline:
                raise UserError(
                    f"supervisord does not answer: see {self._layout.logs / 'supervisord.log'}"
                )
            time.sleep(0.05)

    def _update(self) -> None:
        """Update the daemon as `supervisorctl update` does.

        Changed programs are stopped and replaced, new ones added.
        """
        added, changed, removed = self._call("reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("addProcessGroup", name)

    def info(self) -> dict[str, Info]:
        """Return every process the daemon knows; empty if the daemon is not running."""
        if not self.running():
            return {}
        return {
            one["name"]: Info(
                one["name"], one["statename"], one["pid"], float(one["start"]), one["exitstatus"]
            )
            for one in self._call("getAllProcessInfo")
        }

    def start_process(self, name: str) -> None:
        """Start a process; do nothing if it runs."""
        self._call("startProcess", name, False, allowed=(ALREADY_STARTED,))

    def stop_process(self, name: str) -> None:
        """Ask a process to stop, without waiting; do nothing if it is not running."""
        self._call("stopProcess", name, False, allowed=(NOT_RUNNING, BAD_NAME))

    def shutdown(self, timeout: float = 30.0) -> None:
        """Stop the daemon and wait until it is gone. Raise UserError if it does not exit."""
        pid = self._call("getPID")
        try:
            daemon = psutil.Process(pid)
        except psutil.NoSuchProcess:
            return
        self._call("shutdown")
        if wait_gone([daemon], timeout):
            raise UserError(f"supervisord (pid {pid}) does not stop")

    def _call(self, method: str, *arguments: Any, allowed: tuple[int, ...] = ()) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{socket_path(self._layout)}")
        try:
            with ServerProxy("http://localhost", transport=transport) as server:
                return getattr(cast("Any", server).supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultCode in allowed:
                return None
            raise UserError(
                f"Supervisor refuses {method}{arguments}: {fault.faultString}"
            ) from fault
        except (OSError, HTTPException) as error:
            raise UserError(
                f"the stack's Supervisor does not answer ({error}): type `millrace up`"
            ) from error
        finally:
            transport.close()
