"""Verify feature vectors of the lake all the time, measure decisions, and tell Prometheus of both.

A few vectors a turn, drawn anew each time, in a process of its own: what is logged for training is
what the reference engine computes, or an alert rests on `millrace_features_differing_total`. After
that the decisions are measured by the verdicts that have come in.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

import structlog
from prometheus_client import generate_latest
from pyiceberg.catalog import Catalog

from config import instruments
from config.errors import UserError
from config.health import serve
from config.logging import configure
from config.products import consumers
from config.settings import Settings
from config.settings import settings as configured
from lakehouse.catalog import catalog
from lakehouse.fraud.log import Log
from lakehouse.fraud.quality import pooled
from lakehouse.fraud.quality_metrics import QualityMetrics
from lakehouse.fraud.verification import Finding, Verifier
from lakehouse.query import connect

NAME = "features-verified"
_STALLED_TURNS = 3
_PATIENCE_S = 600.0
_MEMORY = "256MB"

log = structlog.get_logger(__name__)


class Watch:
    """Verifies a sample a turn, and counts. It is the process's report of itself, too."""

    def __init__(
        self,
        settings: Settings,
        lake: Callable[[Settings], Catalog] = catalog,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._open, self._clock = settings, lake, clock
        self._lake: Catalog | None = None
        self._turned = clock()
        self.missing: dict[str, str] = {}
        self.waiting: dict[str, str] = {"lake": "no vector has been verified yet"}
        self.registry = instruments.registry()
        counter = partial(instruments.counter, registry=self.registry)
        self._verified = counter("millrace_features_verified_total")
        self._differing = counter("millrace_features_differing_total")
        self._unverifiable = counter("millrace_features_not_verifiable_total")
        self._newest = instruments.gauge(
            "millrace_features_verified_timestamp_seconds", self.registry
        )
        self._quality = QualityMetrics(self.registry, settings.fraud_least_precision)

    def alive(self) -> bool:
        """Return whether a turn ended not too long ago."""
        most = _STALLED_TURNS * self._settings.verify_seconds + _PATIENCE_S
        return self._clock() - self._turned < most

    def turn(self) -> None:
        """Verify a sample. A lake that is away or has no vectors yet is waited for."""
        try:
            findings = self._findings()
        except UserError as error:
            self.waiting = {"lake": str(error)}
        except Exception as error:
            # Whatever the catalog's library raises: the next turn may find it back.
            self._lake = None
            log.warning("vectors were not verified", error=repr(error))
            self.waiting = {"lake": repr(error)}
        else:
            self._count(findings)
        self._measure()
        self._turned = self._clock()

    def _measure(self) -> None:
        """Measure the decisions; what the lake lacks for it is no matter of the vectors'."""
        if self._lake is None:
            return
        try:
            with connect(_MEMORY, self._settings.lake_spill) as con:
                self._quality.show(pooled(con, self._lake))
        except UserError as error:
            log.debug("decisions are not measured", reason=str(error))
        except Exception as error:  # as above: the next turn may find it back
            self._lake = None
            log.warning("decisions were not measured", error=repr(error))

    def _findings(self) -> Sequence[Finding]:
        current = self._settings
        if self._lake is None:
            self._lake = self._open(current)
        with connect(_MEMORY, current.lake_spill) as con:
            verifier = Verifier(Log(con, self._lake), current.event_ahead_ms)
            return list(verifier.sample(current.verify_sample, int(self._clock() * 1000)))

    def _count(self, findings: Sequence[Finding]) -> None:
        judged = [one for one in findings if one.why is None]
        self._verified.inc(len(judged))
        self._unverifiable.inc(len(findings) - len(judged))
        for one in judged:
            if one.differing:
                self._differing.inc()
                log.error("vector differs", vector=one.as_dict())
        if judged:
            self._newest.set(self._clock())
        self.waiting = {} if judged else {"lake": "none of the vectors drawn could be verified"}

    def run(self, stop: threading.Event) -> None:
        """Take turns until `stop`."""
        while not stop.is_set():
            self.turn()
            stop.wait(self._settings.verify_seconds)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = configured()
    configure(f"consumer-{NAME}", settings)
    watch, stop = Watch(settings), threading.Event()
    port = consumers(settings)[NAME].port + settings.port_offset
    server = serve(settings.host, port, watch, lambda: generate_latest(watch.registry))

    def end(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("started", every_s=settings.verify_seconds, sample=settings.verify_sample, port=port)
    try:
        watch.run(stop)
    finally:
        server.shutdown()


if __name__ == "__main__":
    main()
