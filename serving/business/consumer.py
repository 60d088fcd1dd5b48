"""Keep the shop's windows, and tell of hours unlike those before: Redis and alerts out.

The job emits a window again whenever an event changes it. A window only ever gains events, so their
count is its version: in whichever order versions arrive, the one with the most events stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from prometheus_client import CollectorRegistry

from domain.shop.windows import DAY_MS, HOUR_MS
from serving.business import keys
from serving.business.figures import Figures
from serving.business.memory import Closed, Corrections, Hours, Key, remembered
from serving.consumers.product import Incoming, Output, Product, Rebuild, Result
from serving.consumers.run import run

METRICS, ITEMS, WATCH, ALERTS = "business-metrics", "shop-items", "business-watch", "alerts"


class Business(Product):
    """The shop's windows: corrections after they closed, hours outside their band."""

    name = "business"
    topics = (METRICS, ITEMS)
    rebuild: Rebuild | tuple[Rebuild, ...] | None = (
        Rebuild(WATCH, everything=True),
        Rebuild(METRICS, age_ms=DAY_MS),
    )

    def __init__(self) -> None:
        self._corrections, self._hours = Corrections(), Hours()
        self._figures = Figures()

    def register(self, registry: CollectorRegistry) -> None:
        """Add the figures of the newest closed windows to the metrics."""
        self._figures.register(registry)

    def clear_state(self) -> None:
        """Forget which windows closed, and which hours were compared."""
        self._corrections, self._hours = Corrections(), Hours()

    def restore_state(self, row: Incoming) -> None:
        """Take up an hour compared before, or a window told of before."""
        if row.topic == WATCH:
            self._hours.restore(row.record)
        else:
            self._figures.take(self._corrections.take(row.record, row.offset))
            self._figures.stand([row.record])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write per window and batch: of its versions the fullest stays."""
        closed: list[Closed] = []
        fullest = _fullest(batch)
        results = [
            Result((keys.categorised(row.record, row.offset),))
            if row.topic == ITEMS
            else self._window(row, closed, stays=place in fullest)
            for place, row in enumerate(batch)
        ]
        self._figures.take(closed)
        self._figures.stand(batch[place].record for place in fullest)
        return results

    def _window(self, row: Incoming, closed: list[Closed], *, stays: bool) -> Result:
        """Take up a version of a window, and add what it closes to `closed`."""
        closes = self._corrections.take(row.record, row.offset)
        closed += closes
        outputs = tuple(self._compared(closes, row.offset))
        if not stays:
            return Result((), outputs, origin=row.timestamp)
        revision, shown = self._corrections.of(row.record, row.offset)
        told = keys.correction(revision, row.timestamp, shown) if shown else None
        return Result((keys.stored(row.record, told),), outputs, origin=row.timestamp)

    def _compared(self, closed: Sequence[Closed], offset: int) -> Iterator[Output]:
        for one in closed:
            if one.key.length == HOUR_MS:
                for compared, alerts in self._hours.compare(one, offset):
                    for alert in alerts:
                        yield Output(ALERTS, alert.entity, asdict(alert))
                    yield Output(WATCH, str(compared.hour.start), remembered(compared))


def _fullest(batch: Sequence[Incoming]) -> set[int]:
    """Return the places of the versions that no other of their window in the batch replaces."""
    found: dict[Key, int] = {}
    for place, row in enumerate(batch):
        if row.topic != ITEMS:
            window = Key(row.record["window_ms"], row.record["window_start"])
            known = found.get(window)
            if known is None or keys.version(row.record) > keys.version(batch[known].record):
                found[window] = place
    return set(found.values())


if __name__ == "__main__":
    run(Business.name, lambda _: Business())
