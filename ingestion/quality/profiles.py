"""What the columns of the known data sets hold. A file is recognised by its column names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from config.errors import UserError
from ingestion.shop.files import header

Kind = Literal["integer", "number", "label", "id", "millis", "time", "text"]
"""`label`: one of few values; `id`: one of many; `millis`: ms since 1970; `time`: written out."""

_MS_2001, _MS_2100 = 1_000_000_000_000, 4_102_444_800_000


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds, whether it may be empty, and which values are right.

    `usable`: rows with other values are usable all the same, so somebody should only know.
    """

    name: str
    kind: Kind
    optional: bool = False
    least: float | None = None
    most: float | None = None
    allowed: tuple[str, ...] = ()
    usable: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """The columns of a data set, and the one that says when."""

    name: str
    columns: tuple[Column, ...]
    time: str | None = None


def _millis(name: str) -> Column:
    return Column(name, "millis", least=_MS_2001, most=_MS_2100)


PROFILES = (
    Profile(
        "retail_rocket",
        (
            _millis("timestamp"),
            Column("visitorid", "id"),
            Column("event", "label", allowed=("view", "addtocart", "transaction"), usable=True),
            Column("itemid", "id"),
            Column("transactionid", "id", optional=True),
        ),
        "timestamp",
    ),
    Profile(
        "retail_rocket_properties",
        (
            _millis("timestamp"),
            Column("itemid", "id"),
            Column("property", "id"),
            Column("value", "text"),
        ),
        "timestamp",
    ),
    Profile(
        "online_retail",
        (
            Column("InvoiceNo", "id"),
            Column("StockCode", "id"),
            Column("Description", "text", optional=True),
            Column("Quantity", "integer", least=-(2**31), most=2**31 - 1),
            Column("InvoiceDate", "time"),
            Column("UnitPrice", "number", least=0, usable=True),
            Column("CustomerID", "id", optional=True),
            Column("Country", "label"),
        ),
        "InvoiceDate",
    ),
    Profile(
        "instacart_orders",
        (
            Column("order_id", "id"),
            Column("user_id", "id"),
            Column("eval_set", "label", allowed=("prior", "train", "test")),
            Column("order_number", "integer", least=1),
            Column("order_dow", "integer", least=0, most=6),
            Column("order_hour_of_day", "integer", least=0, most=23),
            Column("days_since_prior_order", "number", optional=True, least=0, most=30),
        ),
    ),
    Profile(
        "instacart_lines",
        (
            Column("order_id", "id"),
            Column("product_id", "id"),
            Column("add_to_cart_order", "integer", least=1),
            Column("reordered", "label", allowed=("0", "1")),
        ),
    ),
    Profile(
        "olist_orders",
        (
            Column("order_id", "id"),
            Column("customer_id", "id"),
            Column("order_status", "label"),
            Column("order_purchase_timestamp", "time"),
        ),
        "order_purchase_timestamp",
    ),
    Profile(
        "olist_items",
        (
            Column("order_id", "id"),
            Column("order_item_id", "integer", least=1),
            Column("product_id", "id"),
            Column("seller_id", "id"),
            Column("shipping_limit_date", "time"),
            Column("price", "number", least=0),
            Column("freight_value", "number", least=0),
        ),
    ),
    Profile(
        "fraud_handbook",
        (
            Column("transaction_id", "id"),
            Column("tx_datetime", "time"),
            Column("customer_id", "id"),
            Column("terminal_id", "id"),
            Column("tx_amount", "number"),
            Column("tx_fraud", "label", optional=True, allowed=("0", "1")),
        ),
        "tx_datetime",
    ),
)


def names_of(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns. Raise UserError if it can't be read."""
    if path.suffix != ".parquet":
        return header(path)
    try:
        return tuple(pq.read_schema(path).names)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a parquet file: {error}") from error


def profile_of(path: Path, wanted: str | None = None) -> Profile:
    """Return the profile called `wanted`, else the one that most of the file's names are of.

    Raise UserError for an unknown name, and if fewer than half of a profile's names are there.
    """
    known = {profile.name: profile for profile in PROFILES}
    if wanted is not None:
        if wanted not in known:
            raise UserError(f"no data set is called {wanted}: there are {', '.join(known)}")
        return known[wanted]
    given = {*names_of(path)}

    def share(profile: Profile) -> float:
        return sum(one.name in given for one in profile.columns) / len(profile.columns)

    best = max(PROFILES, key=share)
    if share(best) <= 0.5:
        raise UserError(f"{path} is none of the data sets known: {', '.join(known)}")
    return best
