"""Start trainings in processes of their own and tell how far they are.

A job is a folder: what was asked, its state, and a lock that its process holds as long as it lives,
however it ends. So a job is known after a restart of the API, and one whose process died is failed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from config.files import write
from config.settings import ROOT
from domain.times import iso

REQUEST, STATE, LOCK, LOG, WINDOWS = (
    "request.json",
    "state.json",
    "lock",
    "log.jsonl",
    "windows.jsonl",
)
KEPT = 50
"""Jobs of which the folders are kept."""
COMMAND = ("nice", "-n", "5", sys.executable, "-m", "orchestration.anomalies.learned.job")
"""Scoring goes before training where both want the processor."""
Job = dict[str, Any]


class BusyError(Exception):
    """Raised while another job trains."""


class Jobs:
    """The jobs of a folder. Methods block: call them on a thread."""

    def __init__(
        self,
        folder: Path,
        shelf: Path,
        command: Sequence[str] = COMMAND,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Look after `folder`; models go to `shelf`. `command` is given a job's folder."""
        self._folder, self._shelf, self._command, self._now = folder, shelf, tuple(command), now
        self._started: list[subprocess.Popen[bytes]] = []
        self._starting = threading.Lock()

    def start(
        self,
        detector: str,
        *,
        seed: int,
        promote: bool,
        data: Path | None = None,
        windows: Sequence[dict[str, Any]] = (),
    ) -> Job:
        """Start a training on a file, or on windows. Raise BusyError while another one runs."""
        with self._starting:
            busy = next((one for one in self.listed() if one["state"] == "running"), None)
            if busy is not None:
                raise BusyError(f"training {busy['job_id']} is not over")
            begun = int(self._now() * 1000)
            # The time first, so that names are in the order of their start.
            folder = self._folder / f"{begun:013d}-{uuid.uuid4().hex[:8]}"
            folder.mkdir(parents=True)
            if data is None:
                data = folder / WINDOWS
                write(data, "".join(json.dumps(one) + "\n" for one in windows))
            request = {
                "detector": detector,
                "seed": seed,
                "promote": promote,
                "data": str(data),
                "shelf": str(self._shelf),
                "begun": begun,
            }
            write(folder / REQUEST, json.dumps(request) + "\n")
            self._spawn(folder)
            self._tidy()
        return self.job(folder.name) or {}

    def job(self, name: str) -> Job | None:
        """Return a job as it stands, or None for an unknown one."""
        if name not in self._names():
            return None
        folder = self._folder / name
        # Before its state is read: a process that ends between the two has told its last word.
        alive = _alive(folder / LOCK)
        request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        told: Job = {"state": "running", "done": 0, "of": None, "version": None, "error": None}
        changed = request["begun"]
        if (folder / STATE).exists():
            told |= json.loads((folder / STATE).read_text(encoding="utf-8"))
            changed = told.pop("changed")
        if told["state"] == "running" and not alive:
            told |= {"state": "failed", "error": "the process died"}
        return {
            "job_id": name,
            **told,
            "detector": request["detector"],
            "promote": request["promote"],
            "started": iso(request["begun"]),
            "changed": iso(changed),
        }

    def listed(self) -> list[Job]:
        """Return the jobs, the newest first."""
        found = (self.job(name) for name in sorted(self._names(), reverse=True))
        return [one for one in found if one is not None]

    def _names(self) -> set[str]:
        return {path.parent.name for path in self._folder.glob(f"*/{REQUEST}")}

    def _spawn(self, folder: Path) -> None:
        self._started = [one for one in self._started if one.poll() is None]
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # Held by the child from its first moment: it inherits the open file, and the lock.
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (folder / LOG).open("wb") as log:
                process = subprocess.Popen(
                    [*self._command, str(folder)],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,  # it outlives the API
                )
        finally:
            os.close(lock)
        self._started.append(process)

    def _tidy(self) -> None:
        for name in sorted(self._names())[:-KEPT]:
            shutil.rmtree(self._folder / name, ignore_errors=True)


def _alive(lock: Path) -> bool:
    """Return whether a process holds the lock."""
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
