"""The simulated shop: exact counts, structure to learn from, files as published."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from config.errors import UserError
from ingestion.shop.item_properties import Properties, Tree, changes
from ingestion.shop.retail_rocket import RetailRocket
from ingestion.shop.shop_files import EVENTS, FILES, PROPERTIES, TREE, write
from ingestion.shop.shop_simulator import DAY_MS, START_MS, Clicks, Shape, clicks
from millrace.cli import simulate

SHAPE = Shape.of(60_000)


@lru_cache(maxsize=1)
def made() -> Clicks:
    return clicks(SHAPE, 7)


def test_counts_are_those_asked_for() -> None:
    assert len(made().times) == 60_000
    assert len(np.unique(made().visitors)) == SHAPE.visitors == 30_643
    assert len(np.unique(made().items)) == SHAPE.items == 5_117
    assert np.bincount(made().kinds).tolist() == [60_000 - 1_509 - 489, 1_509, 489]


def test_the_published_shape_is_the_default() -> None:
    assert Shape.of(2_756_101) == Shape()


@pytest.mark.parametrize("events", [100, 101, 1_000])
def test_small_shops_are_whole(events: int) -> None:
    shape = Shape.of(events)

    found = clicks(shape, 1)

    assert len(found.times) == events
    assert len(np.unique(found.visitors)) == shape.visitors
    assert len(np.unique(found.items)) == shape.items


def test_the_seed_decides() -> None:
    again, other = clicks(SHAPE, 7), clicks(SHAPE, 8)

    for name in ("times", "visitors", "kinds", "items", "orders"):
        assert (getattr(made(), name) == getattr(again, name)).all()
    assert (made().items != other.items).any()


def test_all_happens_within_the_period_by_the_rhythm_of_the_day() -> None:
    times = made().times

    assert times.min() >= START_MS
    assert times.max() < START_MS + 138 * DAY_MS
    hours = Counter(datetime.fromtimestamp(time / 1000, UTC).hour for time in times.tolist())
    assert sum(hours[hour] for hour in (17, 18, 19, 20, 21)) > 6 * sum(
        hours[hour] for hour in (8, 9, 10, 11, 12)
    )


def test_sessions_are_in_order_with_gaps_below_half_an_hour() -> None:
    inside = np.diff(made().sessions) == 0
    gaps = np.diff(made().times)[inside]

    assert gaps.min() > 0
    assert gaps.max() < 30 * 60_000
    assert (made().visitors[1:] == made().visitors[:-1])[inside].all()


def test_what_is_bought_was_put_into_the_cart_and_viewed_before() -> None:
    found = made()
    bought = np.flatnonzero(found.kinds == 2)

    assert (found.kinds[bought - 1] == 1).all()
    assert (found.items[bought - 1] == found.items[bought]).all()
    assert (found.items[bought - 2] == found.items[bought]).all()
    assert (found.orders[bought] >= 0).all()
    assert (found.orders[found.kinds != 2] == -1).all()


@pytest.mark.slow
def test_there_is_something_to_learn() -> None:
    """What followed an item in the first half foretells the second half; popularity hardly does."""
    sessions: dict[int, list[int]] = defaultdict(list)
    for session, item in zip(made().sessions.tolist(), made().items.tolist(), strict=True):
        sessions[session].append(item)
    long = [items for items in sessions.values() if len(items) > 1]
    learned, tested = long[::2], long[1::2]
    after: dict[int, Counter[int]] = defaultdict(Counter)
    for items in learned:
        for item, following in pairwise(items):
            after[item][following] += 1
    popular = [item for item, _ in Counter(made().items.tolist()).most_common(20)]
    pairs = [pair for items in tested for pair in pairwise(items) if pair[0] != pair[1]]

    hits = sum(b in [one for one, _ in after[a].most_common(20)] for a, b in pairs)
    by_popularity = sum(b in popular for _, b in pairs)

    assert hits / len(pairs) > 0.15
    assert hits > 4 * by_popularity
    categories = made().categories
    assert np.mean([categories[a] == categories[b] for a, b in pairs]) > 0.6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, Shape.of(3_000), 1)
    return tmp_path


def test_the_files_replay_as_the_published_ones_do(folder: Path) -> None:
    chunks = list(RetailRocket(folder / EVENTS).chunks())

    assert chunks[-1].rows == 3_000
    assert [chunk.rejected for chunk in chunks] == [[]]
    kinds = Counter(chunks[0].events.column("event_type").to_pylist())
    assert kinds == {"view": 2_901, "addtocart": 75, "transaction": 24}
    tree = Tree(folder / TREE)
    items = changes(Properties([folder / name for name in PROPERTIES]), tree).to_pylist()
    assert len({item["item_id"] for item in items}) == Shape.of(3_000).items
    assert any(item["ancestors"] for item in items)
    assert {item["available"] for item in items} == {True, False}
    with (folder / EVENTS).open() as file:
        stamps = [int(line.split(",")[0]) for line in list(file)[1:]]
    assert stamps != sorted(stamps), "nor is the published file"


def test_files_that_are_there_are_not_replaced_unasked(folder: Path) -> None:
    with pytest.raises(UserError, match=r"holds events\.csv, .* already: --overwrite replaces"):
        write(folder, Shape.of(3_000), 1)

    before = (folder / EVENTS).read_bytes()
    write(folder, Shape.of(3_000), 1, overwrite=True)
    assert (folder / EVENTS).read_bytes() == before, "the same seed makes the same files"


def test_the_command_writes_the_files(tmp_path: Path) -> None:
    app = Typer()
    simulate.register(app)
    app.command("other")(lambda: None)

    result = CliRunner().invoke(
        app, ["simulate", "shop", str(tmp_path), "--events", "500", "--json"]
    )

    assert result.exit_code == 0
    rows = json.loads(result.stdout)["rows"]
    assert rows[EVENTS] == 500
    assert {path.name for path in tmp_path.iterdir()} == set(FILES) == set(rows)
