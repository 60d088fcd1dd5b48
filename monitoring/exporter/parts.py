"""Look at each part by turns, in a thread of its own, and keep what was found for Prometheus."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config.instruments import family

log = structlog.get_logger(__name__)
STALLED_TURNS, PATIENCE_S = 3, 60.0

Look = Callable[[], Sequence[Metric]]
"""Look at a part: what was found. Whatever it raises means that the part is away."""


class Part(Collector):
    """The metrics last seen of one part, with `millrace_<name>_up`: 1 while it answers."""

    def __init__(
        self, name: str, look: Look, every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self._look, self._every_s, self._clock = name, look, every_s, clock
        self._found: Sequence[Metric] = ()
        self._up: bool | None = None
        self._took = 0.0
        self._turned = clock()

    def turn(self) -> None:
        """Look once. A part that is away shows as such, and nothing else of it."""
        began = self._clock()
        try:
            found = self._look()
        except Exception as error:
            # Each client raises errors of its own; all mean the same here.
            if self._up is not False:
                log.warning("does not answer", part=self.name, error=repr(error))
            self._found, self._up = (), False
        else:
            self._found, self._up = found, True
        self._turned = self._clock()
        self._took = self._turned - began

    def run(self, stop: threading.Event) -> None:
        """Look every so often, until `stop`."""
        while not stop.is_set():
            self.turn()
            stop.wait(max(0.0, self._every_s - self._took))

    def alive(self) -> bool:
        """Return whether a turn ended not too long ago."""
        return self._clock() - self._turned < STALLED_TURNS * self._every_s + PATIENCE_S

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is follows from the part."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return what was last seen; before the first look, nothing."""
        if self._up is None:
            return
        yield family(f"millrace_{self.name}_up", float(self._up))
        yield family(f"millrace_{self.name}_look_seconds", self._took)
        yield from self._found


class Parts:
    """All parts of the exporter, as its health page tells of them."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.missing: dict[str, str] = {}
        self.waiting: dict[str, str] = {}

    def alive(self) -> bool:
        """Return whether every part was looked at not too long ago."""
        return all(one.alive() for one in self._parts)
