"""Order lines are scored by a model that was trained on simulated fraud, stored, and looked up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sklearn.metrics import average_precision_score

from config.errors import RetryableError
from domain.features.twin import Twin
from domain.orders.features import GRAPH
from ingestion import schema
from ingestion.shop.order_simulator import Happened, OrderSimulator, Shop
from ingestion.wire.codec import RecordEncoder
from orchestration.orders.train import rows_of, train
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.product import Incoming, Result
from serving.orders import keys, routes
from serving.orders.consumer import SCORES, TRAIN, Orders, accept
from tests.unit.serving.api_parts import KEY, MemoryValues, assert_problem

SHOP = Shop(visitors=400, days=40, seed=5)
UNSEEN = Shop(visitors=400, days=40, seed=6)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf[Any]:
    folder = tmp_path_factory.mktemp("orders")
    trained = train(OrderSimulator(SHOP).events(), "simulated", folder)
    Store(folder).promote(trained.card.version)
    found = Shelf(folder, accept, TRAIN)
    found.refresh()
    return found


@pytest.fixture
def orders(shelf: Shelf[Any]) -> Orders:
    return Orders(shelf, now=lambda: 1_800_000_000.0)


def record_of(result: Result) -> Mapping[str, Any]:
    (output,) = result.outputs
    assert output.record is not None
    assert (output.topic, output.key) == (SCORES, output.record["order_id"])
    return output.record


def incoming(happened: list[Happened]) -> list[Incoming]:
    twin = Twin(GRAPH)
    lines = (out for row in rows_of(happened) if (out := twin.process(row)) is not None)
    return [Incoming(line, timestamp=5, offset=place) for place, line in enumerate(lines)]


def test_fraud_of_a_shop_that_it_has_not_seen_is_found(orders: Orders) -> None:
    happened = OrderSimulator(UNSEEN).events()
    scores = [record_of(one) for one in orders.handle(incoming(happened))]
    fraud = {one.event.event_id: one.fraud is not None for one in happened}
    truth = np.array([fraud[score["event_id"]] for score in scores])
    found = average_precision_score(truth, [score["score"] for score in scores])
    assert 0.005 < truth.mean() < 0.1
    assert found > 0.7
    flagged = [score for score in scores if score["decision"] != "approve"]
    assert flagged
    assert all(len(score["reasons"]) == len(score["explanations"]) > 0 for score in flagged)


def test_what_is_produced_fits_the_contract_and_comes_back_from_the_store(orders: Orders) -> None:
    results = orders.handle(incoming(OrderSimulator(UNSEEN).events()[:2000]))
    names = {field["name"] for field in schema.load("OrderScore")["fields"]}
    for result in results:
        assert set(record_of(result)) == names
        assert RecordEncoder(schema.load("OrderScore")).record(record_of(result))
        assert orders.restore(result.writes[0].data) == record_of(result)


def test_rows_of_other_features_wait(orders: Orders) -> None:
    (row, *_) = incoming(OrderSimulator(UNSEEN).events()[:2000])
    other = {**row.record, "feature_set_version": "orders-00000000"}
    with pytest.raises(RetryableError, match="orders-00000000, which has no model: type `millrace"):
        orders.handle([Incoming(other, timestamp=1, offset=1)])


def test_without_a_model_lines_wait(tmp_path: Path) -> None:
    assert Orders(Shelf(tmp_path, accept, TRAIN)).waiting() == f"no model: type `{TRAIN}`"


def score(event: str, decision: str, value: float, order: str = "o1") -> dict[str, Any]:
    known: dict[str, Any] = dict.fromkeys(("user_id", "item_id", "model_version"), "x")
    known |= dict.fromkeys(keys.TIMES, 1_800_000_000_000)
    known |= {"order_id": order, "event_id": event, "score": value, "decision": decision}
    known |= {"reasons": [], "explanations": [], "late": False, "sequence": 1}
    return known | {"feature_set_version": GRAPH.version}


@pytest.fixture
def application(context: Context) -> FastAPI:
    return create(context, [routes])


@pytest.fixture
def stored(values: MemoryValues) -> MemoryValues:
    for line in (
        score("e1", "approve", 0.01),
        score("e2", "block", 0.97),
        score("e3", "review", 0.4, "o2"),
        score("e2", "approve", 0.02),  # again: the first decision stays
    ):
        for write in keys.decision(line):
            values.store.apply([write])
    return values


@pytest.mark.anyio
class TestRoutes:
    async def test_an_order_is_as_bad_as_its_worst_line(
        self, client: httpx.AsyncClient, stored: MemoryValues
    ) -> None:
        found = (await client.get("/v1/fraud/orders/o1", headers=KEY)).raise_for_status().json()
        assert (found["order_id"], found["decision"], found["score"]) == ("o1", "block", 0.97)
        assert {line["event_id"] for line in found["lines"]} == {"e1", "e2"}
        assert len(found["lines"]) == 2

    async def test_lines_that_were_not_approved(
        self, client: httpx.AsyncClient, stored: MemoryValues
    ) -> None:
        found = (await client.get("/v1/fraud/orders", headers=KEY)).raise_for_status().json()
        assert {line["event_id"] for line in found["lines"]} == {"e2", "e3"}

    async def test_an_order_of_nobody(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/fraud/orders/none", headers=KEY)
        detail = "no score is known of order none"
        assert_problem(answer, 404, detail, "/v1/fraud/orders/none")

    async def test_it_takes_a_key(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/fraud/orders/o1")).status_code == 401
