"""Olist's order lines as events, worked by hand from files in the published format."""
# ruff: noqa: E501 - the files' own lines

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from ingestion.shop.olist import Olist

ORDERS = """"order_id","customer_id","order_status","order_purchase_timestamp","order_approved_at","order_delivered_carrier_date","order_delivered_customer_date","order_estimated_delivery_date"
"e481","9ef4","delivered",2017-10-02 10:56:33,2017-10-02 11:07:15,2017-10-04 19:55:00,2017-10-10 21:25:13,2017-10-18 00:00:00
"53cd","b083","canceled",2017-10-01 00:00:00,,,,2017-10-18 00:00:00
"1b3d","9ef4","created",2017-12-05 01:07:52,,,,2018-01-11 00:00:00
"bad0","b083","shipped",yesterday,,,,2018-01-11 00:00:00
"""
LINES = """"order_id","order_item_id","product_id","seller_id","shipping_limit_date","price","freight_value"
"e481",1,"87285b","3504c0",2017-10-06 11:07:15,29.99,8.72
"e481",2,"87285b","3504c0",2017-10-06 11:07:15,29.99,8.72
"53cd",1,"595fac","289cdb",2018-07-30 03:24:27,118.70,22.76
"1b3d",1,"aa4383","4869f7",2018-08-13 08:55:23,159.90,19.22
"bad0",1,"aa4383","4869f7",2018-08-13 08:55:23,159.90,19.22
"none",1,"aa4383","4869f7",2018-08-13 08:55:23,159.90,19.22
"e481",3,"aa4383","4869f7",2018-08-13 08:55:23,free,19.22
"e481",4
"""
PAYMENTS = """"order_id","payment_sequential","payment_type","payment_installments","payment_value"
"e481",1,"credit_card",1,38.71
"53cd",1,"boleto",1,141.46
"""
CUSTOMERS = """"customer_id","customer_unique_id","customer_zip_code_prefix","customer_city","customer_state"
"9ef4","7c396f","03149","sao paulo","SP"
"""
PRODUCTS = """"product_id","product_category_name","product_name_lenght"
"87285b","utilidades_domesticas",40
"595fac","",
"""
OCTOBER_2 = 1_506_941_793_000  # 2017-10-02T10:56:33Z
OCTOBER_1 = 1_506_816_000_000
DECEMBER_5 = 1_512_436_072_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "olist_orders_dataset.csv").write_text(ORDERS)
    (tmp_path / "olist_order_items_dataset.csv").write_text(LINES)
    return tmp_path


def event(order: str, line: int, kind: str, time: int, user: str, item: str, price: float) -> Any:
    return {
        "event_id": f"ol-{order}-{line}",
        "event_type": kind,
        "event_time": time,
        "user_id": user,
        "item_id": item,
        "transaction_id": order,
        "price": price,
    }


def read(folder: Path) -> list[dict[str, Any]]:
    return [row for chunk in Olist(folder).chunks() for row in chunk.events.to_pylist()]


def test_lines_come_in_order_of_time_with_what_became_of_the_order(folder: Path) -> None:
    assert read(folder) == [
        event("53cd", 1, "cancellation", OCTOBER_1, "b083", "595fac", 118.7),
        event("e481", 1, "transaction", OCTOBER_2, "9ef4", "87285b", 29.99),
        event("e481", 2, "transaction", OCTOBER_2, "9ef4", "87285b", 29.99),
        event("1b3d", 1, "transaction", DECEMBER_5, "9ef4", "aa4383", 159.9),
    ]


def test_payments_tell_orders_from_carts_and_customers_who_it_was(folder: Path) -> None:
    (folder / "olist_order_payments_dataset.csv").write_text(PAYMENTS)
    (folder / "olist_customers_dataset.csv").write_text(CUSTOMERS)

    assert [(row["event_type"], row["user_id"]) for row in read(folder)] == [
        ("cancellation", "b083"),
        ("transaction", "7c396f"),
        ("transaction", "7c396f"),
        ("addtocart", "7c396f"),
    ]


def test_wrong_lines_are_rejected_with_their_number(folder: Path) -> None:
    (chunk,) = Olist(folder).chunks()

    assert (chunk.rows, len(chunk.events)) == (8, 4)
    assert [(one.row, one.reason) for one in chunk.rejected] == [
        (7, "2 columns, not 7"),
        (4, "order_purchase_timestamp is unreadable"),
        (5, "its order is not in olist_orders_dataset.csv"),
        (6, "price is unreadable"),
    ]
    assert list(chunk.numbers) == [2, 0, 1, 3]


def test_products_have_categories(folder: Path) -> None:
    assert Olist(folder).items() is None
    (folder / "olist_products_dataset.csv").write_text(PRODUCTS)

    found = Olist(folder).items()

    assert found is not None
    assert found.to_pylist() == [
        {
            "item_id": "87285b",
            "event_time": OCTOBER_1,
            "category": "utilidades_domesticas",
            "ancestors": [],
        },
        {"item_id": "595fac", "event_time": OCTOBER_1, "category": None, "ancestors": []},
    ]


def test_a_folder_without_the_orders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no olist_orders_dataset\.csv"):
        Olist(tmp_path)
