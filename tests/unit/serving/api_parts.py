"""What stands in for the API's store and for Kafka, and what its tests share."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import redis

from ingestion.wire.codec import RefusedError
from serving.api.gateway import AwayError
from serving.fraud import keys
from serving.store import Index, MemoryStore, Rule, Write

KEY = {"X-API-Key": "key-one"}
PAYMENT = {"transaction_id": "p1", "customer_id": "c1", "terminal_id": "m1", "amount": 10}


class MemoryValues:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.trouble: redis.RedisError | None = None

    async def get(self, key: str) -> bytes | None:
        await self.ping()
        value = self.store.get(key)
        return value.data if value else None

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        return [await self.get(key) for key in keys]

    async def newest(self, index: str, count: int) -> list[bytes]:
        return self.store.newest(index, count)

    async def page(
        self, index: str, count: int, after: tuple[int, bytes] | None = None
    ) -> list[tuple[bytes, int]]:
        await self.ping()
        members = sorted(
            ((when, member) for member, when in self.store.indexes.get(index, {}).items()),
            reverse=True,
        )
        return [(name, when) for when, name in members if after is None or (when, name) < after][
            :count
        ]

    async def ping(self) -> None:
        if self.trouble is not None:
            raise self.trouble


class FakeGateway:
    """Answers as told: with `answer`, never, or not even taking the payment."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] | None = None
        self.away = ""
        self.confirm: Exception | bool = True
        self.refuse = ""
        self.produced: list[tuple[str, dict[str, Any]]] = []
        self.waiting: dict[bytes, asyncio.Future[dict[str, Any]]] = {}

    def expect(self, key: bytes) -> asyncio.Future[dict[str, Any]]:
        self.waiting[key] = asyncio.get_running_loop().create_future()
        return self.waiting[key]

    def forget(self, key: bytes, _: Any) -> None:
        self.waiting.pop(key, None)

    def encode(self, record: dict[str, Any], _: str | None = None) -> Any:
        if self.away:
            raise AwayError(self.away)
        if self.refuse:
            raise RefusedError(self.refuse)
        return record

    def produce(self, key: str, value: Any) -> asyncio.Future[None]:
        self.produced.append((key, value))
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.confirm is True:
            sent.set_result(None)
        elif self.confirm:
            sent.set_exception(self.confirm)
        if self.answer is not None:
            self.waiting[value["transaction_id"].encode()].set_result({**value, **self.answer})
        return sent


def store(
    values: MemoryValues, transaction: str, event_time: int, data: bytes, customer: str = "c1"
) -> None:
    index = Index(keys.recent(customer), keys.RECENT)
    write = Write(
        keys.transaction(transaction),
        event_time,
        1,
        data,
        Rule.FIRST,
        keys.latest(customer),
        index,
    )
    values.store.apply([write])


def assert_problem(answer: httpx.Response, status: int, detail: str, path: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["instance"]) == (status, path)
    assert detail in body["detail"]
    assert body["title"]
    assert body["type"].startswith("urn:millrace:problem:")
