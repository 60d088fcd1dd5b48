"""The shop's windows by a query over a small lake: by hand, and by a count of every event."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.business import windows
from lakehouse.query import ask
from tests.shop_counted import counted
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, lake

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
HOUR, FIVE, MINUTE = 3_600_000, 300_000, 60_000
START = int(EPOCH.timestamp() * 1000)


def event(name: str, ms: int, kind: str, user: str, **more: Any) -> dict[str, Any]:
    return {
        "event_id": name,
        "event_type": kind,
        "event_time": EPOCH + timedelta(milliseconds=ms),
        "user_id": user,
        "item_id": "i1",
        "quantity": 1,
        **more,
    }


def payment(name: str, ms: int, decision: str, amount: float) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "customer_id": "c1",
        "event_time": EPOCH + timedelta(milliseconds=ms),
        "decision": decision,
        "amount": amount,
    }


@pytest.fixture
def asked(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Any:
    catalog = lake(tmp_path / "lake")
    events = bronze(catalog, "shop_events", "ShopEvent")
    scores = bronze(catalog, "fraud_scores", "FraudScore")

    def ask_of(
        clicks: list[dict[str, Any]], payments: list[dict[str, Any]], length: int
    ) -> list[dict[str, Any]]:
        append(events, "shop-events", clicks)
        append(scores, "fraud-scores", payments)
        found = ask(con, catalog, windows(length))
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    return ask_of


def test_a_path_in_order_and_a_payment_by_hand(asked: Any) -> None:
    clicks = [
        event("v", 0, "view", "u"),
        event("c", 1000, "addtocart", "u"),
        event("p", 40 * MINUTE, "transaction", "u", transaction_id="o", price=1.005, quantity=3),
        event("p", 40 * MINUTE, "transaction", "u", transaction_id="o", price=1.005, quantity=3),
        event("n", 40 * MINUTE, "transaction", "u", transaction_id="o", price=1e300, quantity=0),
        event("q", 41 * MINUTE, "transaction", "w", transaction_id="o", price=1e12, quantity=2),
    ]
    (row,) = asked(
        clicks, [payment("a", 5, "block", 9.99), payment("b", HOUR - 1, "review", 1.0)], HOUR
    )
    assert row["window_start"] == START
    # 1.005 as a double is below a half of a unit.
    assert (row["events"], row["orders"], row["gmv_minor"], row["unpriced_lines"]) == (5, 2, 300, 2)
    assert (row["viewed"], row["carted"], row["purchased"]) == (1, 1, 1)
    assert (row["sessions"], row["sessions_carted"], row["sessions_purchased"]) == (3, 1, 0)
    assert (row["payments"], row["paid_minor"], row["blocked_minor"]) == (2, 1099, 999)
    assert (row["items"], row["item_units"], row["item_gmv_minor"]) == (["i1"], [5], [300])


@pytest.mark.parametrize("length", [MINUTE, FIVE, HOUR])
def test_the_query_counts_as_a_walk_over_every_event_does(asked: Any, length: int) -> None:
    dice = random.Random(3)
    clicks = []
    for place in range(400):
        kind = dice.choice(("view", "view", "addtocart", "transaction", "fee"))
        more: dict[str, Any] = {}
        if kind == "transaction":
            price = None if dice.random() < 0.1 else round(dice.uniform(0.1, 90), 2)
            more = {"transaction_id": f"o{dice.randrange(60)}", "price": price}
        user, when = f"u{dice.randrange(12)}", dice.randrange(2 * HOUR)
        more |= {"item_id": f"i{dice.randrange(9)}", "quantity": dice.randrange(1, 4)}
        clicks.append(event(f"e{place}", when, kind, user, **more))
    clicks += dice.sample(clicks, 40)
    payments = [
        payment(
            f"p{place}", dice.randrange(3 * HOUR), dice.choice(("approve", "block")), 0.1 * place
        )
        for place in range(50)
    ]
    payments += dice.sample(payments, 10)
    expected = counted(length, _plain(clicks), _plain(payments))
    assert asked(clicks, payments, length) == expected
    assert len(expected) >= 2


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "price": None,
            "transaction_id": None,
            **row,
            "event_time": round(row["event_time"].timestamp() * 1000),
        }
        for row in rows
    ]
