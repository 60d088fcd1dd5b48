"""The wire format: round trips, evolution, and a reason for everything unreadable."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import fastavro
import httpx
import pytest

from config.errors import RetryableError
from config.topics import topics
from ingestion import schema
from ingestion.wire.codec import Codec, UnreadableError, header, plain
from ingestion.wire.contract import Contract
from tests.unit.ingestion.registries import FakeRegistry

PAYMENT = {
    "transaction_id": "t1",
    "event_time": 1_522_540_800_123,
    "customer_id": "c",
    "terminal_id": "m",
    "amount": -1.5,
}


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def codec(fake: FakeRegistry) -> Codec:
    return Codec(fake.client(attempts=1))


def written(fake: FakeRegistry, declared: Any, record: Any) -> bytes:
    """`record` as another program would write it."""
    schema_id = fake.add("elsewhere", json.dumps(declared))
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(declared), record)
    return header(schema_id) + body.getvalue()


def test_a_round_trip_keeps_times_as_milliseconds(codec: Codec) -> None:
    value = codec.encode("transactions", PAYMENT)

    assert value[:5] == struct.pack(">bI", 0, 1)
    assert codec.decode("transactions", value) == PAYMENT
    assert codec.decoded("transactions", value).schema_id == 1


def test_the_registry_is_asked_once_a_topic_and_once_a_writer(
    codec: Codec, fake: FakeRegistry
) -> None:
    values = [
        codec.encode("transactions", {**PAYMENT, "transaction_id": f"t{number}"})
        for number in range(5)
    ]
    for value in values:
        codec.decode("transactions", value)

    assert sum(method == "POST" for method, _ in fake.requests) == 1
    assert sum(path.startswith("/schemas/ids/") for _, path in fake.requests) == 1


def test_every_topic_has_an_encoder(codec: Codec) -> None:
    for topic in topics():
        assert codec.encoder(topic).fields


def test_a_grown_schema_is_read_with_ours(codec: Codec, fake: FakeRegistry) -> None:
    grown = schema.load("Transaction")
    grown["fields"].append({"name": "color", "type": ["null", "string"], "default": None})

    value = written(fake, grown, {**PAYMENT, "color": "red"})

    assert codec.decode("transactions", value) == PAYMENT


def test_an_older_schema_is_read_with_our_defaults(codec: Codec, fake: FakeRegistry) -> None:
    older = schema.load("ShopEvent")
    older["fields"] = [
        field for field in older["fields"] if field["name"] not in ("price", "quantity")
    ]
    event = {"event_id": "e", "event_type": "view", "event_time": 1, "user_id": "u", "item_id": "i"}

    value = written(fake, older, event)

    assert codec.decode("shop-events", value) == {
        **event,
        "transaction_id": None,
        "price": None,
        "quantity": 1,
        "payment_card": None,
        "address": None,
    }


def changed(name: str, **attributes: Any) -> Any:
    declared = schema.load("Transaction")
    for field in declared["fields"]:
        if field["name"] == name:
            field.update(attributes)
    return declared


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda good: None, "empty"),
        (lambda good: b"", "empty"),
        (lambda good: good[:4], "short"),
        (lambda good: b"\x01" + good[1:], "bad_magic"),
        (lambda good: b'{"transaction_id": "t1"}', "bad_magic"),
        (lambda good: header(4711) + good[5:], "unknown_schema"),
        (lambda good: good[:5], "truncated"),
        (lambda good: good[:-1], "truncated"),
        (lambda good: good + b"\x00", "trailing_bytes"),
        (lambda good: good[:5] + b"\x04\xff\xfe" + good[8:], "malformed"),
    ],
)
def test_unreadable_bytes_have_a_reason(codec: Codec, spoil: Any, reason: str) -> None:
    good = codec.encode("transactions", PAYMENT)

    with pytest.raises(UnreadableError) as caught:
        codec.decode("transactions", spoil(good))

    assert caught.value.reason == reason
    assert caught.value.detail


@pytest.mark.parametrize("cut", range(5, 40))
def test_a_record_cut_anywhere_is_never_read(codec: Codec, cut: int) -> None:
    good = codec.encode("transactions", PAYMENT)

    with pytest.raises(UnreadableError) as caught:
        codec.decode("transactions", good[: min(cut, len(good) - 1)])

    assert caught.value.reason in ("truncated", "malformed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"transaction_id": ""},
        {"amount": float("nan")},
        {"amount": float("inf")},
        {"event_time": 253_402_300_800_000},
        {"event_time": -62_135_596_800_001},
        {"event_time": 1_760_000_000_000_000},
    ],
    ids=["empty", "nan", "inf", "year 10000", "year 0", "microseconds"],
)
def test_what_the_contract_forbids_is_refused(
    codec: Codec, fake: FakeRegistry, wrong: dict[str, Any]
) -> None:
    value = written(fake, plain(schema.load("Transaction")), {**PAYMENT, **wrong})

    with pytest.raises(UnreadableError) as caught:
        codec.decode("transactions", value)

    assert caught.value.reason == "refused"
    assert next(iter(wrong)) in caught.value.detail


def test_what_is_out_of_range_is_told(codec: Codec, fake: FakeRegistry) -> None:
    value = written(
        fake, plain(schema.load("Transaction")), {**PAYMENT, "event_time": 1_760_000_000_000_000}
    )

    with pytest.raises(
        UnreadableError, match="refused: event_time is out of range: 1760000000000000"
    ):
        codec.decode("transactions", value)


@pytest.mark.parametrize("time", [-62_135_596_800_000, 253_402_300_799_999])
def test_the_first_and_the_last_moment_are_read(codec: Codec, time: int) -> None:
    payment = {**PAYMENT, "event_time": time}

    assert codec.decode("transactions", codec.encode("transactions", payment)) == payment


@pytest.mark.parametrize("unit", ["timestamp-micros", "timestamp-nanos", "local-timestamp-millis"])
@pytest.mark.parametrize("nullable", [False, True])
def test_a_writer_that_counts_in_another_unit_is_incompatible(
    codec: Codec, fake: FakeRegistry, unit: str, nullable: bool
) -> None:
    kind = {"type": "long", "logicalType": unit}
    declared = changed("event_time", type=["null", kind] if nullable else kind)
    value = (
        header(fake.add("elsewhere", json.dumps(declared)))
        + codec.encode("transactions", PAYMENT)[5:]
    )

    with pytest.raises(
        UnreadableError, match=f"event_time is written as {unit}, read as timestamp-millis"
    ) as caught:
        codec.decode("transactions", value)

    assert caught.value.reason == "incompatible_schema"


def test_a_writer_that_names_no_unit_counts_in_ours(codec: Codec, fake: FakeRegistry) -> None:
    value = written(fake, changed("event_time", type="long"), PAYMENT)

    assert codec.decode("transactions", value) == PAYMENT


def test_the_unit_of_a_field_under_its_old_name_counts() -> None:
    kind = {"type": "long", "logicalType": "timestamp-millis"}
    field = {"name": "happened_at", "aliases": ["event_time"], "type": kind}
    contract = Contract.of({"type": "record", "name": "R", "fields": [field]})

    contract.compare({"event_time": "timestamp-millis"})
    contract.compare({})
    with pytest.raises(
        UnreadableError,
        match="incompatible_schema: field happened_at is written as timestamp-micros",
    ):
        contract.compare({"event_time": "timestamp-micros"})


def test_an_id_that_no_registry_gives_is_not_asked_for(codec: Codec, fake: FakeRegistry) -> None:
    fake.trouble = lambda request: httpx.Response(404, text="no such path")

    with pytest.raises(UnreadableError, match="unknown_schema"):
        codec.decode("transactions", b"\x00\xff\xff\xff\xff\x00")
    assert fake.requests == []


def test_a_page_of_a_proxy_is_no_poison(codec: Codec, fake: FakeRegistry) -> None:
    value = codec.encode("transactions", PAYMENT)
    fake.trouble = lambda request: httpx.Response(404, text="<html>not here</html>")

    with pytest.raises(RetryableError, match="answered 404"):
        codec.decode("transactions", value)


def test_a_writer_of_another_type_is_incompatible(codec: Codec, fake: FakeRegistry) -> None:
    value = written(fake, changed("amount", type="string"), {**PAYMENT, "amount": "1.5"})

    with pytest.raises(UnreadableError) as caught:
        codec.decode("transactions", value)

    assert caught.value.reason == "incompatible_schema"


@pytest.mark.parametrize(
    "text",
    [
        '"string"',
        "{not json",
        '{"type": "record"}',
        "",
        "[]",
        "42",
        '{"type": "record", "name": "R"}',
        '{"type": "record", "name": "R", "fields": [{"name": "id", "type": "nope"}]}',
        '{"type": "record", "name": "R", "fields": 3}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_a_writer_that_is_no_record_is_incompatible(
    codec: Codec, fake: FakeRegistry, text: str
) -> None:
    value = header(fake.add("elsewhere", text)) + b"\x02a"

    with pytest.raises(UnreadableError) as caught:
        codec.decode("transactions", value)

    assert caught.value.reason == "incompatible_schema"


def test_a_registry_away_is_no_poison(codec: Codec, fake: FakeRegistry) -> None:
    value = codec.encode("transactions", PAYMENT)
    known = fake.trouble
    fake.trouble = lambda request: _away()

    with pytest.raises(RetryableError):
        codec.decode("transactions", value)

    fake.trouble = known
    assert codec.decode("transactions", value) == PAYMENT


def _away() -> Any:
    return httpx.Response(503)


LABEL = {
    "transaction_id": "t1",
    "event_time": 1_523_145_600_123,
    "customer_id": "c",
    "terminal_id": "m",
    "is_fraud": True,
    "note": "",
}


def test_a_topic_of_two_records_tells_them_apart_by_the_writers_name(
    codec: Codec, fake: FakeRegistry
) -> None:
    payment = codec.encode("transactions", PAYMENT)
    label = codec.encode("transactions", LABEL, "FraudLabel")

    for strict in (False, True):
        first, second = (
            codec.decoded("transactions", value, strict=strict) for value in (payment, label)
        )
        assert (first.name, first.record) == ("Transaction", PAYMENT)
        assert (second.name, second.record) == ("FraudLabel", LABEL)
    assert codec.decode("transactions", label) == LABEL
    assert fake.subjects.keys() == {"transactions-value", "transactions-millrace.FraudLabel"}


def test_a_topic_of_two_records_refuses_a_third(codec: Codec) -> None:
    alert = dict.fromkeys(("alert_id", "entity", "kind", "message"), "x")
    other = codec.encode("alerts", {**alert, "event_time": 1, "severity": "info", "details": {}})

    with pytest.raises(UnreadableError, match=r"millrace\.Alert; transactions holds") as caught:
        codec.decode("transactions", other)
    assert caught.value.reason == "incompatible_schema"
    with pytest.raises(KeyError, match="transactions holds no Alert"):
        codec.encoder("transactions", "Alert")
