"""The app over an in-memory store: its frame, its look-ups. Payments: test_api_payments.py."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, cast

import httpx
import orjson
import pytest
import redis
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.routing import Mount

from config.errors import UserError
from config.settings import Settings
from domain.times import iso
from serving.api import keys
from serving.api.app import create
from serving.api.context import Context
from serving.api.guard import OPEN, is_open
from serving.api.limiter import Limiter, Windows
from serving.business import keys as business
from serving.store import Index, Write
from tests.unit.serving.api_parts import KEY, PAYMENT, MemoryValues, assert_problem, store

pytestmark = pytest.mark.anyio


async def test_stored_bytes_come_as_they_are(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    store(values, "t1", 1, b'{"kept":  "as it is"}')
    answer = await client.get("/v1/fraud/transactions/t1", headers=KEY)
    assert (answer.status_code, answer.content) == (200, b'{"kept":  "as it is"}')
    assert answer.headers["content-type"] == "application/json"


async def test_unknown_transaction(client: httpx.AsyncClient) -> None:
    path = "/v1/fraud/transactions/none"
    assert_problem(
        await client.get(path, headers=KEY), 404, "no score is known of transaction none", path
    )


async def test_customer_has_latest_and_recent(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    store(values, "t1", 1, b'{"n":1}')
    store(values, "t2", 2, b'{"n":2}')
    answer = await client.get("/v1/fraud/customers/c1", headers=KEY)
    assert answer.json() == {
        "customer_id": "c1",
        "latest": {"n": 2},
        "recent": [{"n": 2}, {"n": 1}],
    }
    assert_problem(
        await client.get("/v1/fraud/customers/x", headers=KEY),
        404,
        "customer x",
        "/v1/fraud/customers/x",
    )


@pytest.mark.parametrize("path", ["/v1/fraud/transactions/", "/v1/fraud/customers/"])
async def test_a_look_up_names_an_id(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path, headers=KEY), 404, "Not Found", path)


async def test_business_newest_first(client: httpx.AsyncClient, values: MemoryValues) -> None:
    for start in (60, 180, 120):
        index = Index(business.index("1m"), 9, member=business.member(start))
        data = orjson.dumps({"at": start, "window_end": iso(start), "top_items": []})
        key = business.window("1m", business.member(start))
        values.store.apply([Write(key, start, 1, data, index=index)])
    answer = await client.get("/v1/metrics/business?limit=2", headers=KEY)
    assert [one["at"] for one in answer.json()["windows"]] == [180, 120]
    assert answer.json()["next"] == iso(120)
    following = await client.get(
        f"/v1/metrics/business?limit=2&to={answer.json()['next']}", headers=KEY
    )
    assert [one["at"] for one in following.json()["windows"]] == [60]
    assert following.json()["next"] is None
    refused = await client.get("/v1/metrics/business?limit=0", headers=KEY)
    assert_problem(refused, 422, "query.limit", "/v1/metrics/business")


@pytest.mark.parametrize(
    ("headers", "detail"), [({}, "missing"), ({"X-API-Key": "wrong"}, "not known")]
)
async def test_a_key_is_needed(
    client: httpx.AsyncClient, headers: dict[str, str], detail: str
) -> None:
    answer = await client.get("/v1/fraud/transactions/t1", headers=headers)
    assert_problem(answer, 401, detail, "/v1/fraud/transactions/t1")
    assert answer.headers["www-authenticate"] == "ApiKey"


async def test_every_key_is_good(client: httpx.AsyncClient, values: MemoryValues) -> None:
    store(values, "t1", 1, b"{}")
    for key in ("key-one", "key-two"):
        assert (
            await client.get("/v1/fraud/transactions/t1", headers={"X-API-Key": key})
        ).status_code == 200


async def test_store_away(client: httpx.AsyncClient, values: MemoryValues) -> None:
    values.trouble = redis.ConnectionError("gone")
    for path in ("/v1/fraud/transactions/t1", "/v1/fraud/customers/c1"):
        answer = await client.get(path, headers=KEY)
        assert_problem(answer, 503, "the store is away", path)
        assert answer.headers["retry-after"] == "1"


async def test_an_error_of_ours_is_a_problem_without_its_text(
    client: httpx.AsyncClient, context: Context
) -> None:
    del context.parts["fraud"]
    answer = await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
    assert_problem(answer, 500, "internal error", "/v1/fraud/transactions")
    assert "KeyError" not in answer.text


async def test_ready_names_what_is_missing(
    client: httpx.AsyncClient, context: Context, values: MemoryValues
) -> None:
    assert (await client.get("/readyz")).json() == {"ready": True, "missing": {}}

    async def kafka() -> str:
        return "no broker"

    context.checks["kafka"] = kafka
    values.trouble = redis.ConnectionError("gone")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert set(answer.json()["missing"]) == {"redis", "kafka"}


async def test_operations_need_no_key(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"alive": True}
    await client.get("/v1/fraud/transactions/t1", headers=KEY)
    text = (await client.get("/metrics")).text
    route = "/v1/fraud/transactions/{transaction_id}"
    assert (
        f'millrace_api_request_seconds_count{{method="GET",route="{route}",status="404"}}' in text
    )


def _paths(routes: Iterable[Any]) -> Iterator[str]:
    """The path of every route, of included routers and mounted applications, too."""
    for route in routes:
        if isinstance(route, Mount):
            yield f"{route.path}/x"
        elif hasattr(route, "path"):
            yield re.sub(r"{[^}]*}", "x", route.path)
        else:
            yield from _paths(route.original_router.routes)


async def test_whatever_is_not_named_as_open_takes_a_key(
    client: httpx.AsyncClient, application: FastAPI
) -> None:
    @application.get("/added/later")
    async def later() -> None: ...

    found = set(_paths(application.routes))
    assert found >= {*OPEN, "/v1/fraud/transactions", "/added/later", "/docs/oauth2-redirect"}
    for path in (
        *found,
        "/unknown",
        "/pages",
        "/v1/page/stream",
        "/metrics/",
        "//metrics",
        "/docs/../v1",
    ):
        answer = await client.get(f"http://api{path}")
        if path in OPEN or path.startswith(("/static-offline-docs/", "/page/")):
            assert answer.status_code != 401, path
        else:
            assert answer.status_code == 401, path


async def test_openapi_describes_everything(client: httpx.AsyncClient) -> None:
    page = (await client.get("/openapi.json")).json()
    assert set(page["paths"]) >= {
        "/v1/fraud/transactions",
        "/v1/fraud/transactions/{transaction_id}",
        "/v1/fraud/customers/{customer_id}",
        "/v1/metrics/business",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    schemas = page["components"]["schemas"]
    assert all(
        "example" in schemas[name]
        for name in ("Transaction", "Score", "Customer", "Pending", "Window")
    )
    look_up = page["paths"]["/v1/fraud/transactions/{transaction_id}"]["get"]
    assert set(look_up["responses"]) >= {"200", "401", "404", "429", "503"}
    assert look_up["security"]
    reused = page["paths"]["/v1/fraud/transactions"]["post"]["responses"]["409"]["content"][
        "application/problem+json"
    ]
    assert (reused["example"]["status"], reused["example"]["type"]) == (
        409,
        "urn:millrace:problem:conflict",
    )
    assert "another payment" in reused["example"]["detail"]
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)
    for path, operation in (
        (path, one) for path, every in page["paths"].items() for one in every.values()
    ):
        refused = {
            status: answer for status, answer in operation["responses"].items() if status >= "400"
        }
        assert ("401" in refused) != is_open(path)
        for status, answer in refused.items():
            if path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_the_pages_need_no_other_host(client: httpx.AsyncClient, page: str) -> None:
    text = (await client.get(page)).text
    parts = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert any(part.endswith(".js") for part in parts)
    for part in parts:
        assert part.startswith("/"), f"{page} loads {part}"
        answer = await client.get(part)
        assert answer.status_code == 200, part
        assert len(answer.content) > 1000, part


async def test_a_body_has_a_limit_announced_or_not(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 100

    path = "/v1/fraud/transactions"
    for content in (b" " * 400, chunks()):
        answer = await client.post(
            path, content=content, headers={**KEY, "content-type": "application/json"}
        )
        assert_problem(answer, 413, "300 bytes", path)


async def test_unknown_path_and_method(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/none", headers=KEY), 404, "Not Found", "/v1/none")
    assert_problem(await client.delete("/healthz"), 405, "Method Not Allowed", "/healthz")


async def test_requests_have_a_limit_per_key(values: MemoryValues) -> None:
    configured = Settings(api_keys=SecretStr("key-one,key-two"), api_requests_per_second=3)
    app = create(Context(configured, values, codec=cast("Any", None)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://api"
    ) as client:
        answers = [await client.get("/v1/fraud/transactions/t", headers=KEY) for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert_problem(refused[0], 429, "request limit", "/v1/fraud/transactions/t")
        assert refused[0].headers["retry-after"] == "1"
        other = await client.get("/v1/fraud/transactions/t", headers={"X-API-Key": "key-two"})
        assert other.status_code == 404


def test_limits_by_the_clock() -> None:
    now = 100.0
    limiter = Limiter(2, clock=lambda: now)
    assert [limiter.wait("a") for _ in range(2)] == [0.0, 0.0]
    assert 0 < limiter.wait("a") <= 1
    assert limiter.wait("b") == 0.0
    now = 101.0
    assert limiter.wait("a") == 0.0


def test_limits_by_a_clock_that_nobody_sets() -> None:
    for counting in (Limiter, Windows):
        assert inspect.signature(counting).parameters["clock"].default is time.monotonic


def test_without_keys_it_does_not_start(values: MemoryValues) -> None:
    with pytest.raises(UserError, match="MILLRACE_API_KEYS"):
        create(Context(Settings(api_keys=SecretStr(" , ")), values, codec=cast("Any", None)))


def test_keys_are_not_kept() -> None:
    known = keys.Keys(["secret-key"])
    assert known.owner(b"secret-key") == keys.digest(b"secret-key")[:6].hex()
    assert known.owner(b"secret-kex") is None
    assert "secret-key" not in repr(vars(known))
