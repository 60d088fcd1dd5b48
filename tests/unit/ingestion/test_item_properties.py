"""Items of Retail Rocket: category and availability as records of `shop-items`, worked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import UserError
from ingestion.shop.chunks import batches
from ingestion.shop.item_properties import Properties, Tree, changes
from ingestion.shop.items import Items
from ingestion.shop.retail_rocket import RetailRocket
from ingestion.wire.codec import Codec
from tests.unit.ingestion.registries import FakeRegistry

T = 1_431_226_800_000
WEEK = 7 * 86_400_000
# As published: weekly snapshots, hashed properties among those that can be read.
PART_1 = f"""timestamp,itemid,property,value
{T + WEEK},460429,categoryid,1338
{T + WEEK},206783,888,1116713 960601 n277.200
{T},460429,available,1
{T},460429,categoryid,1338
{T},395014,available,0
{T + 2 * WEEK},460429,available,0
"""
PART_2 = f"""timestamp,itemid,property,value
{T + 3 * WEEK},460429,categoryid,1114
{T + WEEK},460429,available,1
{T + WEEK},395014,categoryid,209
{T + WEEK},460429,790,n277200.000
soon,460429,available,1
{T + WEEK},460429,available
{T + 4 * WEEK},395014,available,maybe
"""
TREE = "categoryid,parentid\n1338,1278\n1278,1532\n1532,\n209,293\n293,209\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    written = []
    for number, text in enumerate((PART_1, PART_2), 1):
        written.append(tmp_path / f"item_properties_part{number}.csv")
        written[-1].write_text(text)
    return written


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "category_tree.csv"
    path.write_text(TREE)
    return path


def row(
    item: str, time: int, category: str | None, above: list[str], available: bool | None
) -> dict[str, object]:
    return {
        "item_id": item,
        "event_time": time,
        "category": category,
        "ancestors": above,
        "available": available,
    }


def test_an_item_is_told_when_it_changes(files: list[Path], tree: Path) -> None:
    found = changes(Properties(files), Tree(tree)).to_pylist()

    assert sorted(found, key=lambda one: (one["item_id"], one["event_time"])) == [
        row("395014", T, None, [], False),
        row("395014", T + WEEK, "209", ["293", "209"], False),
        row("395014", T + 4 * WEEK, "209", ["293", "209"], None),
        row("460429", T, "1338", ["1278", "1532"], True),
        row("460429", T + 2 * WEEK, "1338", ["1278", "1532"], False),
        row("460429", T + 3 * WEEK, "1114", [], False),
    ]
    assert [one["event_time"] for one in found] == sorted(one["event_time"] for one in found)


def test_without_files_there_are_no_items() -> None:
    assert changes(Properties(), Tree()).num_rows == 0


def test_items_travel_among_the_events_each_at_its_time(
    files: list[Path], tree: Path, tmp_path: Path
) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        f"{T + WEEK},1,view,460429,\n{T + 2 * WEEK},1,view,395014,\n{T - 5},2,view,460429,\n"
    )
    codec = Codec(FakeRegistry().client())
    items = Items(changes(Properties(files), Tree(tree)), codec.encoder("shop-items"))

    (batch,) = batches(RetailRocket(path).chunks(), codec.encoder("shop-events"), items)

    seen = [(record.topic, record.key, record.due - T, record.row) for record in batch.records]
    assert seen[0] == ("shop-events", "2", -5, True)
    assert sorted(seen[1:3]) == [
        ("shop-items", "395014", 0, False),
        ("shop-items", "460429", 0, False),
    ]
    assert seen[3:] == [
        ("shop-items", "395014", WEEK, False),
        ("shop-events", "1", WEEK, True),
        ("shop-items", "460429", 2 * WEEK, False),
        ("shop-events", "1", 2 * WEEK, True),
    ]
    decoded = codec.decode("shop-items", batch.records[3].value)
    assert decoded == row("395014", T + WEEK, "209", ["293", "209"], False)


def test_another_tree_is_refused(files: list[Path]) -> None:
    with pytest.raises(UserError, match=r"is not Retail Rocket's category_tree\.csv"):
        Tree(files[0])
