"""Forward verdicts: transaction-labels in, the log of the payments out.

Others may send verdicts to a topic of their own, at any time and with any key. Appended to
`transactions` under the key of their payment, they get a place among the payments, and a payment
sees the verdicts that stand before it. At least once: the job recognises a verdict by its
transaction and time, so one that is forwarded twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.consumers.product import Incoming, Output, Product, Result
from serving.consumers.run import run


class Forwarder(Product):
    """Verdicts from elsewhere."""

    name = "fraud-verdicts"
    topics = ("transaction-labels",)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one record of `transactions` per verdict, in order."""
        return [Result(outputs=(_output(row),), origin=row.timestamp) for row in batch]


def _output(row: Incoming) -> Output:
    return Output("transactions", row.record["customer_id"], row.record, schema="FraudLabel")


if __name__ == "__main__":
    run(Forwarder.name, lambda _: Forwarder())
