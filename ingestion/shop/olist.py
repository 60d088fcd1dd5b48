"""Read Olist's Brazilian e-commerce data: orders, order items, payments, customers.

Each line of olist_order_items_dataset.csv becomes one event at the order's purchase time (local
time, taken as UTC): `transaction`; `cancellation` if the order was cancelled or its items were not
available; `addtocart` if the payments are given and none is for the order (a cart left behind).
The visitor is `customer_unique_id`, or without the customers' file `customer_id`, which is another
one for each order. The price is the item's without freight. olist_products_dataset.csv, if it is
there, gives categories. Source: kaggle.com/datasets/olistbr/brazilian-ecommerce.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.replay.batches import Rejected
from ingestion.shop import items
from ingestion.shop.chunks import Chunk, cut, parts
from ingestion.shop.files import read_text, require
from ingestion.shop.frames import CANCELLATION, CART, PURCHASE, Complaints, events_of

ORDERS = "olist_orders_dataset.csv"
LINES = "olist_order_items_dataset.csv"
PAYMENTS = "olist_order_payments_dataset.csv"
CUSTOMERS = "olist_customers_dataset.csv"
PRODUCTS = "olist_products_dataset.csv"
_UNDONE = ("canceled", "unavailable")


class Olist:
    """The order lines in a folder, in order of time. Raise UserError for missing files."""

    def __init__(self, folder: Path) -> None:
        given = [folder / name for name in (PAYMENTS, CUSTOMERS, PRODUCTS)]
        self._given = {file.name: file for file in given if file.is_file()}
        self.files = [require(folder, ORDERS), require(folder, LINES), *self._given.values()]
        self._rejected: list[Rejected] = []
        lines = read_text(
            self.files[1], ("order_id", "order_item_id", "product_id", "price"), self._rejected
        )
        self._count = len(lines) + len(self._rejected)
        orders = self._orders()
        lines = lines.join(orders, on="order_id")
        complaints = Complaints(lines)
        complaints.where(lines["user"].isna(), f"its order is not in {ORDERS}")
        complaints.where(lines["time"].isna(), "order_purchase_timestamp is unreadable")
        lines["price"] = pd.to_numeric(lines["price"], errors="coerce")
        complaints.where(~np.isfinite(lines["price"]), "price is unreadable")
        complaints.where(lines["product_id"].eq(""), "product_id is empty")
        lines, rejected = complaints.parted()
        self._rejected += rejected
        self._events = events_of(
            lines,
            event_id="ol-" + lines["order_id"] + "-" + lines["order_item_id"],
            event_type=self._kinds(lines),
            user_id=lines["user"],
            item_id=lines["product_id"],
            transaction_id=lines["order_id"],
            price=lines["price"],
        )

    def _orders(self) -> pd.DataFrame:
        """Return user, time and status by order id."""
        names = ("order_id", "customer_id", "order_status", "order_purchase_timestamp")
        orders = read_text(self.files[0], names, []).drop_duplicates("order_id")
        orders["user"] = orders["customer_id"].where(orders["customer_id"].ne(""))
        if CUSTOMERS in self._given:
            known = read_text(self._given[CUSTOMERS], ("customer_id", "customer_unique_id"), [])
            unique = known.drop_duplicates("customer_id").set_index("customer_id")
            named = orders["customer_id"].map(unique["customer_unique_id"])
            orders["user"] = named.fillna(orders["user"])
        orders["time"] = pd.to_datetime(
            orders["order_purchase_timestamp"], format="%Y-%m-%d %H:%M:%S", errors="coerce"
        )
        return orders.set_index("order_id")[["user", "time", "order_status"]]

    def _kinds(self, lines: pd.DataFrame) -> pd.Series:
        kinds = pd.Series(PURCHASE, lines.index)
        if PAYMENTS in self._given:
            paid = read_text(self._given[PAYMENTS], ("order_id",), [])["order_id"]
            kinds = kinds.where(lines["order_id"].isin(paid), CART)
        return kinds.mask(lines["order_status"].isin(_UNDONE), CANCELLATION)

    def count(self) -> int:
        """Return the number of order lines."""
        return self._count

    def items(self) -> pa.Table | None:
        """Return the products as columns of ShopItem, or None without their file."""
        if PRODUCTS not in self._given:
            return None
        rows = read_text(self._given[PRODUCTS], ("product_id", "product_category_name"), [])
        since = self._events[0].column("event_time")
        return items.constant(
            rows["product_id"].tolist(),
            [[name] if name else [] for name in rows["product_category_name"]],
            since[0].as_py() if len(since) else 0,
        )

    def chunks(self, limit: int | None = None) -> Iterator[Chunk]:
        """Yield the first `limit` lines (all if None): the rejected ones, then the events."""
        table, numbers = self._events
        return cut(self._rejected, len(table), limit, parts(table, numbers))
