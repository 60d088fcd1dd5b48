"""Let questions go before learning."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PAUSE_S = 0.00005
MOST_PAUSES = 40


class Turns:
    """A lock that whoever asks gets before whoever learns, who takes it again and again.

    A plain lock goes to the thread that runs, which is the one that has just given it back: a
    question would wait until hundreds of lists are made. `with turns` for learning, `with
    turns.asking` for a question; one thread asks at a time.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._lock, self._sleep = threading.Lock(), sleep
        self._waiting = False
        self.asking = _Asking(self)

    def __enter__(self) -> None:
        for _ in range(MOST_PAUSES):  # questions without end must not keep it from learning
            if not self._waiting:
                break
            self._sleep(PAUSE_S)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _Asking:
    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        self._turns._waiting = True
        self._turns._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._turns._waiting = False
        self._turns._lock.release()
