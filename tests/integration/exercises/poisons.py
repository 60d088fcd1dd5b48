"""Poison for any topic, made of a good record."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import fastavro

from config.topics import topics
from ingestion import schema
from ingestion.wire.codec import header, plain
from ingestion.wire.registry import Registry
from tests.integration.exercises import Hands, Poison

Record = Callable[[int], dict[str, Any]]


def of_the_wire(
    hands: Hands, topic: str, by: str, record: Record, field: str, name: str | None = None
) -> list[Poison]:
    """Return what is wrong with the bytes, whatever they say.

    `record` makes a good one, `name` is its schema (None: the topic's first). `field`: one that is
    written with a type that it cannot be read as.
    """
    name = name or topics()[topic].schema
    other = schema.load(name)
    next(one for one in other["fields"] if one["name"] == field)["type"] = "string"
    with Registry(hands.stack.registry_url) as registry:
        wrong = registry.register(f"{hands.run}-{name}-value", json.dumps(other))

    def good(number: int) -> bytes:
        return hands.codec.encode(topic, record(number), name)

    makers: dict[str, Callable[[int], bytes]] = {
        "empty": lambda number: b"",
        "short": lambda number: b"\x00\x00",
        "bad_magic": lambda number: b"\x07" + good(number)[1:],
        "unknown_schema": lambda number: struct.pack(">bI", 0, 0x7FFF_FFF0) + good(number)[5:],
        "truncated": lambda number: good(number)[:-3],
        "trailing_bytes": lambda number: good(number) + b"!",
        "malformed": lambda number: good(number)[:5] + b"\xff" * 12,
        "incompatible_schema": lambda number: header(wrong) + good(number)[5:],
    }
    return [Poison(topic, by, reason, make) for reason, make in makers.items()]


def refused(
    hands: Hands, topic: str, by: str, record: Record, name: str | None = None, **changed: Any
) -> Poison:
    """Return a good record with fields that Avro can write, and that the contract refuses."""
    name = name or topics()[topic].schema
    parsed = fastavro.parse_schema(plain(schema.load(name)))
    start = hands.codec.encode(topic, record(0), name)[:5]

    def make(number: int) -> bytes:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, {**record(number), **changed})
        return start + body.getvalue()

    return Poison(topic, by, "refused", make)
