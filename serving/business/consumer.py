"""Keep the shop's minutes: business-metrics in, Redis out.

The job emits a minute again whenever an event changes it. A minute only ever gains events, so their
count is its version: in whichever order versions arrive, the one with the most events stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from domain.times import record_of
from serving.business import keys
from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run


class Business(Product):
    """The shop's metrics."""

    name = "business"
    topics = ("business-metrics",)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write per record; of two versions of a minute the fuller stays."""
        return [Result((keys.minute(row.record),), origin=row.timestamp) for row in batch]

    def restore(self, data: bytes) -> dict[str, Any]:
        """Return the BusinessMetrics behind stored bytes."""
        return record_of(orjson.loads(data), keys.TIMES)


if __name__ == "__main__":
    run(Business.name, lambda _: Business())
