"""Upkeep and marts of a lake in processes of their own, beside its job, to be killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from config.settings import ROOT
from tests.integration.parts import until


@dataclass
class Upkeep:
    """`millrace lake upkeep` and `millrace marts build` in turn, without end, to be killed."""

    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    groups: int = 0
    """Groups of small files that were compacted."""
    expired: int = 0
    wrong: list[str] = field(default_factory=list)
    _now: subprocess.Popen[str] | None = None
    _began: float = 0.0
    _took: float = 4.0
    _killed: set[int] = field(default_factory=set)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the tables while the body runs."""
        ended = threading.Event()
        thread = threading.Thread(target=self._keep, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=120)
        assert not thread.is_alive()

    def _keep(self, ended: threading.Event) -> None:
        upkeep = ("lake", "upkeep", "--keep-hours", "0", "--age-hours", "1", "--json")
        marts = ("marts", "build", "--select", "silver", "--no-test", "--json")
        for turn in count():
            if ended.wait(0.5):
                return
            name, line = ("marts", marts) if turn % 3 == 1 else ("upkeep", upkeep)
            self._run(name, line)

    def _run(self, name: str, line: tuple[str, ...]) -> None:
        began = time.monotonic()
        with subprocess.Popen(
            [ROOT / ".venv" / "bin" / "millrace", *line],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            if name == "upkeep":
                self._now, self._began = process, began
            printed, said = process.communicate()
        self._now = None
        if process.pid in self._killed:
            return
        if process.returncode:
            self.wrong.append(f"{name}: {process.returncode}: {said[-2000:]}{printed[-2000:]}")
            return
        self.done[name] += 1
        if name == "upkeep":
            self._took = time.monotonic() - began
            kept = json.loads(printed)
            self.groups += sum(one["compacted"]["groups"] for one in kept)
            self.expired += sum(one["expired"] for one in kept)

    def kill(self) -> None:
        """Kill one in the second half of its run, when it is at the tables."""
        code = 0
        while code != -signal.SIGKILL:
            running = until("upkeep runs", lambda: self._now, pause=0.05)
            at = self._began + self._took * self.chance.uniform(0.5, 1.0)
            time.sleep(max(0.0, at - time.monotonic()))
            self._killed.add(running.pid)
            running.kill()
            code = running.wait()
