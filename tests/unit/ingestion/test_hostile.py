"""Bytes made to hurt.

The reasons that the jobs' decoder gives for them, and never anything but a reason.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import fastavro
import pytest

from config.topics import BROKER_BYTES, Topic, topics
from ingestion import schema
from ingestion.wire import codec as avro
from ingestion.wire.codec import Codec, UnreadableError, header
from ingestion.wire.skip import step_over
from tests.unit.ingestion.registries import FakeRegistry

HOSTILE: dict[str, Any] = json.loads(
    Path(__file__).with_name("hostile.json").read_text(encoding="utf-8")
)
KNOWN = {"truncated", "trailing_bytes", "malformed", "incompatible_schema", "refused"}


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> Codec:
    """Reads the topic "t" with the vectors' own schema, which is schema 1, too."""
    declared = Topic("t", "id", "R", partitions=1, replication=1, retention_hours=1)
    monkeypatch.setattr(avro, "topics", lambda: {"t": declared})
    monkeypatch.setattr(schema, "load", lambda name: HOSTILE["schema"])
    fake = FakeRegistry()
    fake.add("t-value", json.dumps(HOSTILE["schema"]))
    return Codec(fake.client())


def verdict(codec: Codec, topic: str, message: bytes, *, strict: bool) -> tuple[str, str]:
    try:
        codec.decoded(topic, message, strict=strict)
    except UnreadableError as error:
        return error.reason, error.detail
    return "", ""


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "record", HOSTILE["records"], ids=lambda record: f"{record['body']} {record['detail']}"
)
def test_the_reason_is_the_jobs(codec: Codec, record: dict[str, Any], strict: bool) -> None:
    reason, detail = verdict(codec, "t", header(1) + bytes.fromhex(record["body"]), strict=strict)

    if record.get("lax") and not strict:
        assert reason == ""
        return
    assert reason == record["reason"]
    # How a number is written, and the place of wrong UTF-8, differ by language.
    if reason != "refused":
        assert record["detail"].endswith(detail)


@pytest.mark.parametrize("topic", topics())
def test_never_anything_but_a_reason(topic: str) -> None:
    rng = random.Random(11)
    codec = Codec(FakeRegistry().client())
    good = codec.encode(topic, sample(topics()[topic].schema))
    for _ in range(1500):
        message = noise(rng, good) if rng.random() < 0.3 else flipped(rng, good)
        strict, lax = (verdict(codec, topic, message, strict=kind) for kind in (True, False))
        assert {strict[0], lax[0]} <= KNOWN | {""}
        assert strict[0] or not lax[0], f"{lax}: what the stricter takes the laxer takes"


def sample(name: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field in schema.load(name)["fields"]:
        kind = field["type"]
        kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
        made[field["name"]] = value(kind)
    return made


def value(kind: Any) -> Any:
    if isinstance(kind, dict):
        if kind["type"] == "enum":
            return kind["symbols"][-1]
        if kind["type"] == "array":
            return [value(kind["items"])] * 3
        if kind["type"] == "map":
            return {"a": value(kind["values"]), "b": value(kind["values"])}
        return value(kind["type"])
    return {
        "string": "text",
        "long": 1_760_000_000_000,
        "int": 7,
        "double": 1.5,
        "boolean": True,
        "bytes": b"raw",
    }[kind]


def noise(rng: random.Random, good: bytes) -> bytes:
    return good[:5] + rng.randbytes(rng.randrange(120))


def flipped(rng: random.Random, good: bytes) -> bytes:
    message = bytearray(good)
    for _ in range(rng.randint(1, 3)):
        message[rng.randrange(5, len(message))] ^= 1 << rng.randrange(8)
    return bytes(message[: len(message) - rng.choice((0, 0, 0, 1, 5))])


NESTED = {
    "type": "record",
    "name": "N",
    "fields": [
        {
            "name": "inner",
            "type": {"type": "record", "name": "I", "fields": [{"name": "v", "type": "int"}]},
        },
        {"name": "again", "type": {"type": "array", "items": "I"}},
        {"name": "mark", "type": {"type": "fixed", "name": "F", "size": 2}},
        {"name": "raw", "type": ["null", "bytes", {"type": "map", "values": "float"}]},
        {"name": "none", "type": {"type": "array", "items": "null"}},
    ],
}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("02 04 02 04 00 4142 00 00", ""),
        ("02 04 02 04 00 4142 02 02 41 00", ""),
        ("02 04 02 04 00 4142 04 02 02 41 00000000 00 06 00", ""),
        ("02 04 02 8080808020 00 4142 00 00", "malformed: again: v: int of value 4294967296"),
        ("02 00 41", "truncated: mark: needs 2 bytes at offset 7, has 1"),
        (
            "02 00 4142 04 04 02 41 00000000 00 00",
            "truncated: raw: needs 10 bytes at offset 11, has 8",
        ),
        ("02 00 4142 00 8080A001", "malformed: none: 1310720 items without bytes"),
    ],
)
def test_every_kind_of_value_is_stepped_over(body: str, detail: str) -> None:
    message = header(1) + bytes.fromhex(body)
    if not detail:
        assert step_over(message, 5, fastavro.parse_schema(NESTED)) == len(message)
        return
    with pytest.raises(UnreadableError) as caught:
        step_over(message, 5, fastavro.parse_schema(NESTED))
    assert str(caught.value) == detail


def test_what_holds_itself_for_ever_is_malformed() -> None:
    chain = {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}
    with pytest.raises(UnreadableError, match="nested deeper than 64"):
        step_over(b"\x02" * 100_000, 0, fastavro.parse_schema(chain))


def test_what_is_longer_than_the_jobs_read_is_refused_by_its_length(codec: Codec) -> None:
    message = header(1) + bytes(BROKER_BYTES)

    reason, detail = verdict(codec, "t", message, strict=True)

    assert (reason, detail) == (
        "refused",
        f"{len(message)} bytes, a message has at most {BROKER_BYTES}",
    )
    assert verdict(codec, "t", message, strict=False)[0] != "refused"
