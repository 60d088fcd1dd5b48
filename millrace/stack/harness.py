"""Run a separate stack on shifted ports, for tests and benchmarks.

It is started, examined, hurt, and always taken down.

`python -m millrace.stack.harness` checks before any test whether the ports of the tests' stacks are
free.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from config.errors import UserError
from config.settings import ROOT, Settings, settings
from millrace.stack import lifecycle, ports
from millrace.stack.layout import Layout
from millrace.stack.process import Process
from millrace.stack.processes import declared
from millrace.stack.supervisor import Info, Supervisor

# The offset of the tests' stack from a stack that may run at the same time, and of a second test
# stack from the first.
OFFSET, SECOND_OFFSET = 10_000, 1000


class Stack:
    """A stack that runs with the given settings."""

    def __init__(self, loaded: Settings) -> None:
        self.settings = loaded
        self.layout = Layout.of(loaded)
        self._supervisor = Supervisor(self.layout)

    def up(self, *names: str, timeout: float = 240.0) -> None:
        """Start the named processes and their dependencies (all processes if none is named).

        Return when they are ready.
        """
        lifecycle.up(self.settings, _say, names, timeout)

    def down(self) -> None:
        """Stop everything."""
        lifecycle.down(self.settings, _say)

    def info(self, name: str) -> Info:
        """Return Supervisor's record of a process."""
        return self._supervisor.info()[name]

    def kill(self, name: str) -> int:
        """Send SIGKILL and return the killed pid; Supervisor restarts the process.

        Raise UserError if it is not running.
        """
        pid = self.info(name).pid
        if not pid:
            raise UserError(f"{name} is not running")
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, name: str) -> None:
        """Stop a process and leave it stopped; `up(name)` starts it again."""
        self._supervisor.stop_process(name)
        self.wait(lambda: not self.info(name).pid, f"{name} to stop")

    def wait_ready(self, *names: str, timeout: float = 120.0) -> None:
        """Wait until each is ready."""
        every = declared(self.settings)
        for name in names:
            ready = partial(self._ready, every[name])
            self.wait(ready, f"{name} to be ready", timeout)

    def _ready(self, process: Process) -> bool:
        return lifecycle.missing(process, self.settings, self.info(process.name)) is None

    def killed_and_back(self, name: str, timeout: float = 120.0) -> None:
        """Kill a process and wait until its successor is ready."""
        old = self.kill(name)
        self.wait(lambda: self.info(name).pid not in (0, old), f"{name} to be restarted", timeout)
        self.wait_ready(name, timeout=timeout)

    def cli(self, *arguments: str, timeout: float = 300.0) -> str:
        """Run `millrace …` as a separate process with these settings and return its output.

        Raise CalledProcessError (which holds both outputs) if it fails.
        """
        line = (sys.executable, "-m", "millrace.cli.main", *arguments)
        return subprocess.run(
            line, check=True, capture_output=True, text=True, timeout=timeout, cwd=ROOT
        ).stdout

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = 120.0) -> None:
        """Poll until `condition` holds. Raise TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"waited {timeout:.0f} s for {what}; logs are in {self.layout.logs}"
                )
            time.sleep(0.1)


@contextmanager
def shifted(
    state_dir: Path, offset: int = OFFSET, environ: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Yield a stack with the environment's settings on other ports and another state folder.

    Everything started in it is stopped afterwards.

    Within the context this process and its children have these settings, and those of `environ`.
    """
    with _environment({**_moved(offset), "MILLRACE_STATE_DIR": str(state_dir), **(environ or {})}):
        stack = Stack(settings())
        try:
            yield stack
        finally:
            stack.down()


def _moved(offset: int) -> dict[str, str]:
    return {"MILLRACE_PORT_OFFSET": str(settings().port_offset + offset)}


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        settings.cache_clear()


def refuse_taken() -> None:
    """Raise UserError if a port of the tests' stacks is taken (naming its holder) or too high."""
    for offset in (OFFSET, OFFSET + SECOND_OFFSET):
        with _environment(_moved(offset)):
            loaded = settings()
            ports.refuse_taken(declared(loaded).values(), loaded.host)


def main() -> None:
    """Exit with code 2 and one line on stderr if the tests' stacks cannot start."""
    try:
        refuse_taken()
    except UserError as error:
        sys.stderr.write(f"the tests' stacks cannot start: {error}\n")
        sys.exit(2)


def _say(text: str) -> None:
    sys.stderr.write(f"stack: {text}\n")


if __name__ == "__main__":
    main()
