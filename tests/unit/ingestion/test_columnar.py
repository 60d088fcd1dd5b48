"""Encoding by the column, against fastavro and against encoding by the row."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import schema
from ingestion.wire.codec import plain
from ingestion.wire.columnar import ColumnEncoder, varints
from ingestion.wire.encode import RecordEncoder, RefusedError
from tests.unit.ingestion.test_encoders import values

SHOP = {
    "event_id": pa.string(),
    "event_type": pa.string(),
    "event_time": pa.int64(),
    "user_id": pa.string(),
    "item_id": pa.string(),
    "transaction_id": pa.string(),
    "price": pa.float64(),
    "quantity": pa.int32(),
    "payment_card": pa.string(),
    "address": pa.string(),
}


def by_fastavro(declared: dict[str, Any], record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(declared)), record)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("ShopEvent", SHOP),
        (
            "ShopItem",
            {
                "item_id": pa.string(),
                "event_time": pa.int64(),
                "category": pa.string(),
                "ancestors": pa.list_(pa.string()),
                "available": pa.bool_(),
            },
        ),
    ],
)
@given(data=st.data())
def test_a_table_is_encoded_as_fastavro_does_each_row(
    name: str, types: dict[str, pa.DataType], data: st.DataObject
) -> None:
    declared = schema.load(name)
    one = st.fixed_dictionaries(
        {field["name"]: values(field["type"], field) for field in declared["fields"]}
    )
    records = data.draw(st.lists(one, min_size=1, max_size=6))
    table = pa.Table.from_pylist(records, pa.schema(list(types.items())))

    encoded = ColumnEncoder(RecordEncoder(declared, b"head!")).encode(table).to_pylist()

    assert encoded == [b"head!" + by_fastavro(declared, record) for record in records]


@given(numbers=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300), max_size=8))
def test_varints_are_those_of_the_specification(numbers: list[int]) -> None:
    def literal(number: int) -> bytes:
        out = b""
        while number > 127:
            out += bytes([number % 128 + 128])
            number //= 128
        return out + bytes([number])

    assert varints(np.array(numbers, np.uint64)).to_pylist() == [literal(one) for one in numbers]


def event(**changed: Any) -> dict[str, Any]:
    plain_one = {
        "event_id": "e",
        "event_type": "view",
        "event_time": 1_433_221_332_000,
        "user_id": "u",
        "item_id": "i",
        "transaction_id": None,
        "price": 1.5,
        "quantity": 1,
    }
    return plain_one | changed


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"event_id": ""}, "ShopEvent.event_id: shorter than 1"),
        ({"price": float("inf")}, "ShopEvent.price: inf is not finite"),
        ({"event_time": 2**60}, f"ShopEvent.event_time: {2**60} is out of range"),
        ({"user_id": None}, "ShopEvent.user_id: None does not fit its type"),
    ],
)
def test_a_refused_row_is_null_and_says_why(changed: dict[str, Any], reason: str) -> None:
    rows = RecordEncoder(schema.load("ShopEvent"))
    table = pa.Table.from_pylist([event(), event(**changed), event()], pa.schema(SHOP.items()))
    encoder = ColumnEncoder(rows)

    encoded = encoder.encode(table).to_pylist()

    assert encoded == [rows.record(event()), None, rows.record(event())]
    assert encoder.refusal(table, 1) == reason
    with pytest.raises(RefusedError):
        rows.record(event(**changed))


def test_a_dictionary_and_absent_columns_give_the_same_bytes() -> None:
    rows = RecordEncoder(schema.load("ShopEvent"))
    table = pa.Table.from_pylist(
        [event(), event(event_type="transaction")], pa.schema(SHOP.items())
    )
    kinds = table.column("event_type").dictionary_encode()
    short = table.set_column(1, "event_type", kinds).drop_columns(["transaction_id", "quantity"])

    assert ColumnEncoder(rows).encode(short).to_pylist() == [
        rows.record(event()),
        rows.record(event(event_type="transaction")),
    ]


def test_a_column_that_is_no_field_is_told() -> None:
    with pytest.raises(ValueError, match="ShopEvent has no field color"):
        ColumnEncoder(RecordEncoder(schema.load("ShopEvent"))).encode(pa.table({"color": ["red"]}))


def test_a_table_without_rows_gives_none() -> None:
    table = pa.Table.from_pylist([], pa.schema(SHOP.items()))

    assert len(ColumnEncoder(RecordEncoder(schema.load("ShopEvent"))).encode(table)) == 0
