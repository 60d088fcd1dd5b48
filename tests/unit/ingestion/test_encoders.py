"""Our encoders against fastavro, byte for byte."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events
from ingestion import schema
from ingestion.wire.codec import plain
from ingestion.wire.encode import (
    EARLIEST_MS,
    LATEST_MS,
    RecordEncoder,
    RefusedError,
    write_long,
    writer,
)


def values(node: Any, attributes: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Any value that fits a type of our schemas."""
    if isinstance(node, list):
        return st.one_of(*(values(branch, attributes) for branch in node))
    if isinstance(node, dict):
        match node["type"]:
            case "array":
                return st.lists(values(node["items"], {}), max_size=4)
            case "map":
                return st.dictionaries(st.text(max_size=5), values(node["values"], {}), max_size=4)
            case "enum":
                return st.sampled_from(node["symbols"])
            case "long" if node.get("logicalType") == "timestamp-millis":
                return st.integers(EARLIEST_MS, LATEST_MS)
            case inner:
                return values(inner, attributes)
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**42),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "bytes": st.binary(max_size=20),
        "string": st.text(min_size=int(attributes.get("minLength", 0)), max_size=40)
        | st.text("é€𐍈", min_size=350, max_size=360),
    }[node]


@pytest.mark.slow
@pytest.mark.parametrize("name", schema.names())
@given(data=st.data())
def test_every_contract_is_encoded_as_fastavro_does(name: str, data: st.DataObject) -> None:
    declared = schema.load(name)
    record = data.draw(
        st.fixed_dictionaries(
            {field["name"]: values(field["type"], field) for field in declared["fields"]}
        )
    )
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, fastavro.parse_schema(plain(declared)), record)

    assert RecordEncoder(declared, b"head!").record(record) == b"head!" + expected.getvalue()


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_longs(number: int) -> None:
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, "long", number)

    assert writer("long")(number) == expected.getvalue()


def payment(**changed: Any) -> dict[str, Any]:
    return {
        "transaction_id": "t1",
        "event_time": 1_522_540_800_000,
        "customer_id": "c",
        "terminal_id": "m",
        "amount": 1.5,
        **changed,
    }


def test_a_mapping_a_sequence_and_an_object_give_the_same_bytes() -> None:
    encoder = RecordEncoder(schema.load("Transaction"))

    encoded = encoder.record(payment())

    assert encoder.object(events.Transaction(**payment())) == encoded
    assert encoder.values(list(payment().values())) == encoded


def test_absent_fields_take_the_schema_s_default() -> None:
    encoder = RecordEncoder(schema.load("ShopEvent"))
    needed = {
        "event_id": "e",
        "event_type": "view",
        "event_time": 1,
        "user_id": "u",
        "item_id": "i",
    }

    assert encoder.record(needed) == encoder.record(
        {**needed, "transaction_id": None, "price": None, "quantity": 1}
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"transaction_id": ""}, "Transaction.transaction_id: shorter than 1"),
        ({"customer_id": 596}, "Transaction.customer_id: 596 does not fit its type"),
        ({"terminal_id": None}, "Transaction.terminal_id: None does not fit its type"),
        ({"terminal_id": "\ud800"}, "Transaction.terminal_id"),
        ({"event_time": 1.5}, "Transaction.event_time: 1.5 does not fit its type"),
        ({"event_time": True}, "Transaction.event_time: True does not fit its type"),
        ({"event_time": 2**63}, "Transaction.event_time: 9223372036854775808 is out of range"),
        (
            {"event_time": 1_760_000_000_000_000},
            "Transaction.event_time: 1760000000000000 is out of range",
        ),
        ({"event_time": LATEST_MS + 1}, "Transaction.event_time: 253402300800000 is out of range"),
        (
            {"event_time": EARLIEST_MS - 1},
            "Transaction.event_time: -62135596800001 is out of range",
        ),
        ({"amount": float("nan")}, "Transaction.amount: nan is not finite"),
        ({"amount": float("-inf")}, "Transaction.amount: -inf is not finite"),
        ({"amount": "1.5"}, "Transaction.amount: '1.5' does not fit its type"),
        ({"color": "red"}, "Transaction has no field color"),
    ],
)
def test_what_does_not_fit_is_refused_by_field(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        RecordEncoder(schema.load("Transaction")).record(payment(**changed))


@pytest.mark.parametrize("time", [EARLIEST_MS, -1, 0, LATEST_MS])
def test_times_that_a_calendar_holds_are_taken(time: int) -> None:
    assert write_long(time) in RecordEncoder(schema.load("Transaction")).record(
        payment(event_time=time)
    )


def test_a_nullable_time_is_bounded_as_well() -> None:
    write = writer(["null", {"type": "long", "logicalType": "timestamp-millis"}])

    assert write(None) == b"\x00"
    assert write(LATEST_MS) == b"\x02" + write_long(LATEST_MS)
    with pytest.raises(RefusedError, match="out of range"):
        write(LATEST_MS + 1)


def test_a_long_that_is_no_time_is_not_bounded() -> None:
    assert writer("long")(2**63 - 1)
    with pytest.raises(RefusedError, match="does not fit in 64 bits"):
        writer("long")(2**63)


def test_a_missing_field_is_refused() -> None:
    record = payment()
    del record["amount"]

    with pytest.raises(RefusedError, match=r"Transaction\.amount: None does not fit its type"):
        RecordEncoder(schema.load("Transaction")).record(record)


def test_too_few_values_are_refused() -> None:
    with pytest.raises(RefusedError, match="Transaction has 5 fields, not 2"):
        RecordEncoder(schema.load("Transaction")).values(["t1", 1])


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, "c", "'c' is not one of a, b"),
        ("int", 2**31, "does not fit in 32 bits"),
        ("float", float("inf"), "not finite"),
    ],
)
def test_values_out_of_range_are_refused(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        writer(kind)(value)


@pytest.mark.parametrize(
    ("kind", "value"), [("boolean", 1), ("null", 0), ({"type": "array", "items": "string"}, "ab")]
)
def test_values_of_another_type_are_not_taken(kind: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        writer(kind)(value)


def test_strings_of_at_least_several_characters() -> None:
    write = writer("string", {"minLength": 3})

    assert write("abc") == b"\x06abc"
    with pytest.raises(RefusedError, match="shorter than 3"):
        write("éé")


@pytest.mark.parametrize(
    "kind", [["null", "int", "string"], {"type": "fixed", "name": "F", "size": 2}]
)
def test_types_no_contract_uses_are_not_supported(kind: Any) -> None:
    with pytest.raises(NotImplementedError):
        writer(kind)
