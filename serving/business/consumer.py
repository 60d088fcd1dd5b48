"""Keep the shop's minutes: business-metrics in, Redis out.

The job tells a minute again whenever an event changes it. A minute only ever gains events, so their
count is its version: whichever order versions arrive in, the fullest stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from serving.consumers.product import Incoming, Result
from serving.consumers.run import run
from serving.store import Index, Rule, Write
from serving.times import document_of, record_of

WINDOWS = "business:windows"
KEEP = 7 * 24 * 60
TIMES = ("window_start", "window_end")


class Business:
    """The product of serving/consumers/product.py for the shop's metrics."""

    name = "business"
    topic = "business-metrics"
    output: str | None = None

    def missing(self) -> str | None:
        """Nothing."""
        return None

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write a record; of two versions of a minute the one with more events stays."""
        return [_result(row) for row in batch]

    def restore(self, data: bytes) -> dict[str, Any]:
        """The BusinessMetrics behind stored bytes."""
        return record_of(orjson.loads(data), TIMES)


def _result(row: Incoming) -> Result:
    start = row.record["window_start"]
    document = orjson.dumps(document_of(row.record, TIMES))
    write = Write(
        key=f"business:window:{start}",
        event_time=start,
        sequence=row.record["events"],
        data=document,
        rule=Rule.NEWEST,
        index=Index(WINDOWS, KEEP, member=str(start), evict="business:window:"),
    )
    return Result(write, row.timestamp)


if __name__ == "__main__":
    run(Business.name, lambda _: Business())
