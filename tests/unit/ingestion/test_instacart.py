"""Instacart's orders as events, worked by hand from files in the published format."""
# ruff: noqa: E501 - the files' own lines

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from ingestion.shop.instacart import DAY_MS, HOUR_MS, Instacart

ANCHOR = int(datetime(2016, 1, 2, tzinfo=UTC).timestamp() * 1000)
# User 1: Monday (2) at 8, 15 days later at 7 (Tuesday), then "30 or more" on a Monday: 34 days.
ORDERS = """order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order
2539329,1,prior,1,2,08,
2398795,1,prior,2,3,07,15.0
473747,1,train,3,2,12,30.0
7,2,prior,1,0,23,
8,2,test,2,0,23,7.0
"""
PRIOR = """order_id,product_id,add_to_cart_order,reordered
7,13176,2,0
7,196,1,0
2398795,196,1,1
2539329,196,1,0
2539329,14084,2,0
99,1,1,0
"""
TRAIN = "order_id,product_id,add_to_cart_order,reordered\n473747,196,1,1\n"
PRODUCTS = """product_id,product_name,aisle_id,department_id
196,Soda,77,7
14084,"Organic Milk, Vanilla",91,16
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "order_products__prior.csv").write_text(PRIOR)
    (tmp_path / "order_products__train.csv").write_text(TRAIN)
    return tmp_path


def second(user: int) -> int:
    """When within an hour the user's orders begin, in ms: Knuth's hash over 57.5 minutes."""
    top_half = user * 2_654_435_761 % 2**32 // 2**16
    return top_half * 3450 // 2**16 * 1000


def events(folder: Path, limit: int | None = None) -> list[dict[str, Any]]:
    return [
        row for chunk in Instacart(folder, ANCHOR).chunks(limit) for row in chunk.events.to_pylist()
    ]


def test_a_line_is_put_into_the_cart_and_then_bought(folder: Path) -> None:
    begin = ANCHOR + 2 * DAY_MS + 8 * HOUR_MS + second(1)
    first = [
        row for row in events(folder) if row["event_id"].startswith(("ic-2539", "ic-cart-2539"))
    ]

    assert first == [
        {
            "event_id": f"ic-{name}2539329-{place}",
            "event_type": kind,
            "event_time": begin + after,
            "user_id": "1",
            "item_id": item,
            "transaction_id": order,
        }
        for name, place, kind, after, item, order in [
            ("cart-", 1, "addtocart", 0, "196", None),
            ("cart-", 2, "addtocart", 1000, "14084", None),
            ("", 1, "transaction", 2000, "196", "2539329"),
            ("", 2, "transaction", 2000, "14084", "2539329"),
        ]
    ]


def test_days_follow_the_anchor_and_the_weekday(folder: Path) -> None:
    bought = {
        row["transaction_id"]: row["event_time"]
        for row in events(folder)
        if row["event_type"] == "transaction"
    }

    assert bought == {
        "7": ANCHOR + 23 * HOUR_MS + second(2) + 2000,
        "2539329": ANCHOR + 2 * DAY_MS + 8 * HOUR_MS + second(1) + 2000,
        "2398795": ANCHOR + 17 * DAY_MS + 7 * HOUR_MS + second(1) + 1000,
        "473747": ANCHOR + 51 * DAY_MS + 12 * HOUR_MS + second(1) + 1000,
    }
    weekdays = {datetime.fromtimestamp(bought[one] / 1000, UTC).weekday() for one in ("473747",)}
    assert weekdays == {0}, "the anchor is a Saturday, called 0; 2 is a Monday"


def test_rows_are_lines_in_order_of_time_and_lost_ones_rejected(folder: Path) -> None:
    source = Instacart(folder, ANCHOR)

    (chunk,) = source.chunks()

    assert source.count() == chunk.rows == 7
    assert [(row.row, row.reason) for row in chunk.rejected] == [
        (5, "order 99 is not in orders.csv")
    ]
    assert chunk.leading is not None
    assert sorted(chunk.numbers[chunk.leading]) == [0, 1, 2, 3, 4, 6]
    times = chunk.events.column("event_time").to_pylist()
    assert times == sorted(times)


def test_the_limit_counts_lines(folder: Path) -> None:
    (chunk,) = Instacart(folder, ANCHOR).chunks(3)

    assert (chunk.rows, len(chunk.rejected), len(chunk.events)) == (3, 1, 4)


def test_lines_of_an_order_that_lie_apart_come_together(folder: Path) -> None:
    whole = events(folder)
    head, *lines = PRIOR.splitlines()
    scattered = [head, lines[0], lines[3], lines[2], lines[1], lines[5], lines[4]]
    (folder / "order_products__prior.csv").write_text("\n".join(scattered) + "\n")

    def key(row: dict[str, Any]) -> Any:
        return row["event_time"], row["event_id"]

    assert sorted(events(folder), key=key) == sorted(whole, key=key)


def test_products_have_categories_by_number_or_by_name(folder: Path) -> None:
    assert Instacart(folder, ANCHOR).items() is None
    (folder / "products.csv").write_text(PRODUCTS)
    (folder / "aisles.csv").write_text("aisle_id,aisle\n77,soft drinks\n")

    found = Instacart(folder, ANCHOR).items()

    assert found is not None
    assert found.to_pylist() == [
        {"item_id": "196", "event_time": ANCHOR, "category": "soft drinks", "ancestors": ["7"]},
        {"item_id": "14084", "event_time": ANCHOR, "category": "91", "ancestors": ["16"]},
    ]


def test_other_folders_and_files_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "orders.csv").write_text("order_id,user_id\n1,2\n")
    with pytest.raises(UserError, match="it has no column order_number, order_dow"):
        Instacart(folder, ANCHOR)
    (folder / "orders.csv").write_text(ORDERS.replace("2539329,1", "first,1"))
    with pytest.raises(UserError, match="conversion error to int32: invalid value 'first'"):
        Instacart(folder, ANCHOR)
    (folder / "orders.csv").unlink()
    with pytest.raises(UserError, match=r"has no orders\.csv"):
        Instacart(folder, ANCHOR)
