"""Keep each item's stock as it stands: stock-levels in, Redis out."""

from __future__ import annotations

from collections.abc import Sequence

from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run
from serving.inventory import keys


class Inventory(Product):
    """The stock of each item."""

    name = "inventory"
    topics = ("stock-levels",)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return the writes of each record; of an item's in the batch the last one writes."""
        last = {row.record["item_id"]: place for place, row in enumerate(batch)}
        return [
            Result(
                (keys.stock(row.record),) if last[row.record["item_id"]] == place else (),
                origin=row.record["produced_at"],
            )
            for place, row in enumerate(batch)
        ]


if __name__ == "__main__":
    run(Inventory.name, lambda _: Inventory())
