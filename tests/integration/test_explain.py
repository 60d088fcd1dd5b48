"""A decision of the running stack is traced back without a lake: Redis by the API, and Kafka."""

from __future__ import annotations

import uuid

import httpx

from config.settings import Settings
from millrace.explaining import explain


def test_without_a_lake_the_api_and_kafka_explain_a_payment(
    stack: Settings, api: httpx.Client
) -> None:
    name = f"explained-{uuid.uuid4().hex[:8]}"
    body = {
        "transaction_id": name,
        "customer_id": f"{name}-c",
        "terminal_id": f"{name}-t",
        "amount": 12.5,
    }
    score = api.post("/v1/fraud/transactions?deadline_ms=30000", json=body).raise_for_status()

    found = explain(stack, name)

    assert found.score == {"source": "redis", "record": score.json()}
    assert found.payment is not None
    assert (found.payment["source"], found.payment["topic"]) == ("kafka", "transactions")
    assert found.payment["offset"] == score.json()["sequence"]
    assert found.payment["record"]["amount"] == 12.5
    assert found.vector is not None
    assert found.vector["topic"] == "fraud-features"
    assert found.vector["record"]["customer_count_1h"] == 1
    assert found.vector["record"]["order_sequence"] == found.payment["offset"]
    assert found.model is not None
    assert found.model["version"] == score.json()["model_version"]
    assert found.model["rules"]["thresholds"]["block"] <= 1
    assert any("the lake" in words for words in found.missing)
