"""Retail Rocket's events.csv: order, ids, prices, and rows that are wrong.

The files are made here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from config.errors import UserError
from domain.events import ShopEvent
from ingestion import schema
from ingestion.replay.batches import Rejected
from ingestion.shop.chunks import batches
from ingestion.shop.item_properties import Prices, Properties
from ingestion.shop.retail_rocket import RetailRocket
from ingestion.wire.codec import Codec
from ingestion.wire.encode import RecordEncoder
from tests.unit.ingestion.registries import FakeRegistry

HEADER = "timestamp,visitorid,event,itemid,transactionid"
T = 1_433_221_332_000


def events(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "events.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def read(path: Path, prices: Prices | None = None) -> tuple[list[ShopEvent], list[Rejected]]:
    chunks = list(RetailRocket(path, prices).chunks())
    events = [ShopEvent(**row) for chunk in chunks for row in chunk.events.to_pylist()]
    return events, [row for chunk in chunks for row in chunk.rejected]


def test_rows_come_in_order_of_time_whole(tmp_path: Path) -> None:
    path = events(
        tmp_path, f"{T + 5},7,transaction,9,31", f"{T},8,view,10,", f"{T + 1},7,addtocart,9,"
    )

    found, rejected = read(path)

    assert rejected == []
    assert [event.event_type for event in found] == ["view", "addtocart", "transaction"]
    assert (found[0].user_id, found[0].item_id, found[0].event_time) == ("8", "10", T)
    assert (found[0].transaction_id, found[0].price, found[0].quantity) == (None, None, 1)
    assert found[2].transaction_id == "31"


def test_ids_come_from_content_not_from_place(tmp_path: Path) -> None:
    lines = [f"{T + number % 3},{number},view,10," for number in range(9)]
    forward, _ = read(events(tmp_path, *lines))
    backward, _ = read(events(tmp_path, *reversed(lines)))

    assert {event.user_id: event.event_id for event in forward} == {
        event.user_id: event.event_id for event in backward
    }
    assert len({event.event_id for event in forward}) == 9


def test_equal_rows_are_told_apart_and_counted_alike_each_time(tmp_path: Path) -> None:
    path = events(
        tmp_path, f"{T},1,view,2,", f"{T},3,view,2,", f"{T},1,view,2,", f"{T + 1},1,view,2,"
    )

    first, again = read(path)[0], read(path)[0]

    ids = [event.event_id for event in first]
    assert ids == [event.event_id for event in again]
    assert len(set(ids)) == 4
    assert ids[2] == ids[0] + "-2"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("soon,1,view,2,", "unreadable"),
        ("1433221332,1,view,2,", "not in milliseconds"),
        (f"{T}000,1,view,2,", "not in milliseconds"),
        (f"{T},,view,2,", "visitorid is empty"),
        (f"{T},1,,2,", "event is empty"),
        (f"{T},1,view,,", "itemid is empty"),
        (f"{T},1,transaction,2,", "without transactionid"),
        (f"{T},1,view", "3 columns, not 5"),
        (f"{T},1,view,2,,7", "6 columns, not 5"),
    ],
)
def test_wrong_rows_are_rejected_with_their_number(tmp_path: Path, line: str, reason: str) -> None:
    path = events(tmp_path, f"{T},1,view,2,", line, f"{T + 1},1,view,2,", f"{T},5,transaction,2,")

    found, rejected = read(path)

    assert len(found) == 2
    # The last row is wrong as well: its number shows that those of a wrong width are counted.
    assert sorted(one.row for one in rejected) == [1, 3]
    assert reason in next(one.reason for one in rejected if one.row == 1)
    assert RetailRocket(path).count() == 4


def test_text_that_is_no_utf_8_is_rejected(tmp_path: Path) -> None:
    path = events(tmp_path, f"{T},1,view,2,")
    path.write_bytes(path.read_bytes() + f"{T},".encode() + b"\xff,view,2,\n")

    found, rejected = read(path)

    assert len(found) == len(rejected) == 1


@pytest.mark.parametrize(
    "header",
    [
        "timestamp\tuser_id\titem_id\tsession_id",
        "timestamp,visitorid,event,itemid",
        "",
        "1,2,3,4,5",
    ],
)
def test_other_headers_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(
        UserError,
        match=r"is not Retail Rocket's events\.csv: its header is .* expected timestamp,visitorid",
    ):
        RetailRocket(events(tmp_path, f"{T},1,view,2,", header=header))


def test_a_header_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    header = "\ufeff" + ",".join(f'"{name}"' for name in HEADER.split(","))

    found, _ = read(events(tmp_path, f"{T},1,view,2,", header=header))

    assert len(found) == 1


def test_a_file_without_rows_has_none(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(HEADER + "\n")

    assert read(path) == ([], [])


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read: No such file"):
        RetailRocket(tmp_path / "events.csv")


def properties(tmp_path: Path, *lines: str, name: str = "item_properties_part1.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(("timestamp,itemid,property,value", *lines)) + "\n")
    return path


def test_prices_are_those_of_the_time(tmp_path: Path) -> None:
    first = properties(
        tmp_path, f"{T},9,790,n277200.000", f"{T},9,888,n1.000 55", f"{T},10,790,what"
    )
    second = properties(
        tmp_path, f"{T + 100},9,790,n5.500", "1,9,790", name="item_properties_part2.csv"
    )
    third = properties(tmp_path, f"{T + 70},1,790,n3.000", f"{T + 70},900,790,n4.000", name="3.csv")
    old = properties(tmp_path, "1,77,790,n6.000", name="4.csv")
    prices = Prices(Properties([second, first, third, old]))

    def at(item: str, moment: int) -> float | None:
        (price,) = prices.of(pa.chunked_array([[item]]), np.array([moment])).to_pylist()
        return None if price is None else float(price)

    assert at("9", T + 50) == 277200.0
    assert at("9", T + 100) == at("9", T + 10**9) == 5.5
    assert at("9", T - 1) == 277200.0, "before the first known price, that one"
    assert at("1", T - 1) == at("1", T) == at("1", T + 100) == 3.0
    assert at("900", T - 1) == at("900", T) == at("900", T + 100) == 4.0
    assert at("77", T) == 6.0
    assert at("10", T) is None
    assert at("unheard of", T) is None

    found, _ = read(events(tmp_path, f"{T + 200},1,view,9,", f"{T},1,view,9,"), prices)
    assert [event.price for event in found] == [277200.0, 5.5]


@pytest.mark.slow  # a Python of its own
def test_prices_are_read_whatever_else_is_imported(tmp_path: Path) -> None:
    file = properties(tmp_path, f"{T},9,790,n5.500")
    program = (
        "from pathlib import Path; from ingestion.shop.item_properties import Properties; "
        f"Properties([Path({str(file)!r})])"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_other_property_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not one of Retail Rocket's item_properties files"):
        Properties([events(tmp_path)])


def test_batches_hold_records_rejected_rows_and_the_position(tmp_path: Path) -> None:
    lines = [f"{T + number},{number % 50},view,{number},,"[:-1] for number in range(20_010)]
    lines[3] = f"{T + 3},1,transaction,2,"
    codec = Codec(FakeRegistry().client())
    source = RetailRocket(events(tmp_path, *lines))

    first, second = batches(source.chunks(), codec.encoder("shop-events"))

    assert (first.rows, second.rows) == (20_000, 20_010)
    assert (len(first.records), len(first.rejected), len(second.records)) == (19_999, 1, 10)
    record = first.records[0]
    assert (record.topic, record.key, record.due) == ("shop-events", "0", T)
    assert codec.decode("shop-events", record.value)["event_time"] == T


def test_a_row_that_fits_no_contract_is_rejected_with_its_number_in_the_file(
    tmp_path: Path,
) -> None:
    lines = (
        f"{T + 3},1,view,2,",
        f"{T + 2},1,view,9,",
        f"{T + 1},1,view,2,",
        f"{T},1,view,2,",
        f"{T},1,view",
    )
    file = properties(tmp_path, f"{T},9,790,n1{'0' * 400}")
    source = RetailRocket(events(tmp_path, *lines), Prices(Properties([file])))

    (batch,) = batches(source.chunks(), RecordEncoder(schema.load("ShopEvent")))

    assert len(batch.records) == 3
    assert [(one.row, one.reason) for one in batch.rejected] == [
        (4, "3 columns, not 5"),
        (1, "ShopEvent.price: inf is not finite"),
    ]


def test_the_limit_counts_rows(tmp_path: Path) -> None:
    path = events(tmp_path, f"{T},1,view,2,", "x,1,view,2,", f"{T + 1},1,view,2,")

    (batch,) = batches(RetailRocket(path).chunks(2), RecordEncoder(schema.load("ShopEvent")))

    assert (batch.rows, len(batch.records), len(batch.rejected)) == (2, 1, 1)
