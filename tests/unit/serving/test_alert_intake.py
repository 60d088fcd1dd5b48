"""`POST /v1/alerts/prometheus`: what Alertmanager tells."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from config.settings import Settings
from serving.alerts import prometheus
from serving.api.app import create
from serving.api.context import Context
from serving.api.gateway import AwayError, Gateway
from tests.unit.serving.api_parts import KEY, FakeGateway, MemoryValues, assert_problem

pytestmark = pytest.mark.anyio
PATH = "/v1/alerts/prometheus"
# As Alertmanager 0.25 sends it.
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "KafkaDown", "entity": "kafka", "severity": "critical"},
    "annotations": {
        "summary": "Kafka does not answer",
        "runbook_url": "docs/runbooks.md#kafkadown",
    },
    "startsAt": "2025-11-30T07:03:20.507Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "0d5fbf17df6876b1",
}
OVER = {**ALERT, "status": "resolved", "endsAt": "2025-11-30T07:05:00Z"}


def body(*alerts: dict[str, Any]) -> dict[str, Any]:
    head = {"version": "4", "status": "firing", "receiver": "alerts", "groupKey": "{}:{}"}
    return {**head, "truncatedAlerts": 0, "groupLabels": {}, "alerts": list(alerts)}


@pytest.fixture
def application(values: MemoryValues, gateway: FakeGateway) -> FastAPI:
    context = Context(Settings(api_keys=SecretStr("key-one")), values, codec=cast("Any", None))
    context.parts[prometheus.PART] = cast("Gateway", gateway)
    return create(context, [prometheus])


async def test_what_fires_and_what_is_over_become_alerts(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await client.post(PATH, json=body(ALERT, OVER), headers=KEY)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    (key, opened), (_, cleared) = gateway.produced
    assert (key, opened["state"], cleared["state"]) == ("kafka", "open", "cleared")
    assert opened["alert_id"] == cleared["alert_id"] == "KafkaDown/0d5fbf17df6876b1/1764486200507"
    assert cleared["event_time"] - opened["event_time"] == 99_493


async def test_what_alertmanager_has_from_us_goes_no_further(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    ours = {**ALERT, "labels": {**ALERT["labels"], "alert_id": "boiler-7/1"}}
    answer = await client.post(PATH, json=body(ours), headers=KEY)
    assert answer.json() == {"accepted": 0}
    assert gateway.produced == []


async def test_it_takes_a_key_by_either_header(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH, json=body(ALERT))).status_code == 401
    bearer = {"Authorization": f"Bearer {KEY['X-API-Key']}"}
    assert (await client.post(PATH, json=body(ALERT), headers=bearer)).status_code == 202
    for wrong in ("Bearer nobody", f"Basic {KEY['X-API-Key']}", "Bearer"):
        answer = await client.post(PATH, json=body(ALERT), headers={"Authorization": wrong})
        assert answer.status_code == 401, wrong


async def test_kafka_away_has_it_told_again(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.confirm = AwayError("broker gone")
    answer = await client.post(PATH, json=body(ALERT), headers=KEY)
    assert_problem(answer, 503, "broker gone", PATH)


async def test_what_is_no_notification_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=body({"labels": {}}), headers=KEY)
    assert answer.status_code == 422
