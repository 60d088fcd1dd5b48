"""Scripts run in the flink environment, each of its jobs on a mini cluster of its own.

A JVM with a planner takes 15 CPU-seconds before the first job is looked at, so they share one, one
after the other.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from config.settings import settings
from millrace.stack.layout import Layout
from millrace.stack.parts.jvm import FIRST_COMPILER
from tests.integration.flink_worker import DONE

_HEAP = "1g"
_workers: dict[tuple[tuple[str, str], ...], _Worker] = {}


def run_script(
    script: str,
    *arguments: str | Path,
    heads: int | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> str:
    """Run tests/integration/<script> to its end and return what it printed; its end must be good.

    `heads` are the bytes that the kernel keeps of heads on the heap, None for its own choice;
    `environ` is added to the environment; `timeout` is in seconds.
    """
    key = tuple(sorted((environ or {}).items()))
    if key not in _workers:
        _workers[key] = _Worker(key)
    try:
        good, said = _workers[key].run(script, [str(one) for one in arguments], heads, timeout)
    except BaseException:  # the next one begins with a new JVM
        _workers.pop(key).close()
        raise
    assert good, said[-6000:]
    return said


def close() -> None:
    """End all JVMs."""
    while _workers:
        _workers.popitem()[1].close()


class _Worker:
    """A Python process of the flink environment and its JVM."""

    def __init__(self, environ: Sequence[tuple[str, str]]) -> None:
        layout = Layout.of(settings())
        assert layout.kernel_jar.exists(), f"{layout.kernel_jar} is missing: make setup builds it"
        self._folder = Path(tempfile.mkdtemp(prefix="millrace-flink-"))
        library = self._folder / "lib"
        library.mkdir()
        # What a cluster has once every group is on.
        folders = (layout.flink_home / "lib", layout.flink_jars, layout.jars("lake"))
        for jar in (jar for folder in folders for jar in folder.glob("*.jar")):
            (library / jar.name).symlink_to(jar)
        # A copy: a rebuild must not change the jar under the running job.
        shutil.copy(layout.kernel_jar, library)
        environment = {
            **os.environ,
            **dict(environ),
            "PYTHONPATH": str(layout.root),
            "FLINK_HOME": str(layout.flink_home),  # without it pyflink overrules the next
            "FLINK_LIB_DIR": f"{library}/",
            "JVM_ARGS": " ".join((f"-Xmx{_HEAP}", *FIRST_COMPILER)),
        }
        self._log = self._folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [layout.flink_python, "-m", "tests.integration.flink_worker"],
                cwd=layout.root,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def run(
        self, script: str, arguments: list[str], heads: int | None, timeout: float
    ) -> tuple[bool, str]:
        """Return whether the script's end was good, and what it said."""
        assert self._process.stdin
        answer = self._folder / "answer.json"
        asked = {"script": script, "arguments": arguments, "heads": heads, "answer": str(answer)}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        self._await_done(time.monotonic() + timeout)
        good, said = json.loads(answer.read_text())
        answer.unlink()
        return good, said if good else said + self._tail()

    def _await_done(self, deadline: float) -> None:
        # Read as it comes: what the JVM prints must not fill the pipe.
        assert self._process.stdout
        said = b""
        while DONE not in said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise TimeoutError(f"the script has not ended in time; {self._tail()}")
            part = os.read(self._process.stdout.fileno(), 65536)
            assert part, f"the flink environment's process ended; {self._tail()}"
            said = (said + part)[-65536:]

    def _tail(self) -> str:
        return "\n" + self._log.read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """End the processes and remove their folder."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)
