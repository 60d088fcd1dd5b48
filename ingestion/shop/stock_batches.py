"""Turn what happens in a simulated stock room into batches for Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from domain.events import ShopEvent
from ingestion.replay.batches import Batch, Record
from ingestion.shop.stock_simulator import Happening
from ingestion.wire.codec import Codec

SALES, MOVEMENTS = "shop-events", "stock-movements"


def batches(happenings: Iterable[Happening], codec: Codec, size: int) -> Iterator[Batch]:
    """Yield batches of `size` happenings: sales by their buyer, movements by their item."""
    sale, movement = codec.encoder(SALES), codec.encoder(MOVEMENTS)

    def record(one: Happening) -> Record:
        if isinstance(one, ShopEvent):
            return Record(SALES, one.user_id, sale.object(one), one.event_time)
        return Record(MOVEMENTS, one.item_id, movement.object(one), one.event_time)

    rows, left = 0, iter(happenings)
    while records := [record(one) for one in islice(left, size)]:
        rows += len(records)
        yield Batch(records, [], rows)
