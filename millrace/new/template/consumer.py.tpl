"""Keep the newest features of each @KEY@: @TOPIC@-features in, Redis out."""

from __future__ import annotations

from collections.abc import Sequence

from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run

from @NAME@ import keys


class Consumer(Product):
    """The consumer of @NAME@."""

    name = "@NAME@"
    topics = ("@TOPIC@-features",)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write a record."""
        return [
            Result((keys.write(row.record, row.offset),), origin=row.timestamp) for row in batch
        ]


if __name__ == "__main__":
    run(Consumer.name, lambda _: Consumer())
