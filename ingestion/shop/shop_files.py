"""Write a simulated shop in Retail Rocket's published format, so that it replays as theirs does.

`events.csv` is whole. `item_properties_part1.csv` and `…part2.csv` hold what is read of the
published ones (category, availability, price) and one hashed property, in weekly snapshots of what
changed; `category_tree.csv` is as large as theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from config.errors import UserError
from ingestion.shop.item_properties import (
    AVAILABLE,
    CATEGORY,
    PRICE,
    PROPERTIES_HEADER,
    TREE_HEADER,
)
from ingestion.shop.retail_rocket import HEADER
from ingestion.shop.shop_simulator import DAY_MS, KINDS, START_MS, Clicks, Shape, clicks

EVENTS, TREE = "events.csv", "category_tree.csv"
PROPERTIES = ("item_properties_part1.csv", "item_properties_part2.csv")
FILES = (EVENTS, *PROPERTIES, TREE)

_ITEM_IDS, _CATEGORY_IDS = 466_868, 1_700
_FIRST_SNAPSHOT, _WEEK = START_MS + 7 * DAY_MS, 7 * DAY_MS
_ROOTS_IN = 67  # one category in so many has none above it: 25 of 1,669
_SOLD_OUT, _REPRICED = 0.25, 0.3


def write(folder: Path, shape: Shape, seed: int, *, overwrite: bool = False) -> dict[str, int]:
    """Write the files and return the rows of each.

    Raise UserError if one is there already and `overwrite` is false: it may be the real one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    present = [name for name in FILES if (folder / name).exists()]
    if present and not overwrite:
        raise UserError(f"{folder} holds {', '.join(present)} already: --overwrite replaces them")
    made = clicks(shape, seed)
    rng = np.random.default_rng([seed, 1])
    items = rng.permutation(max(_ITEM_IDS, shape.items))[: shape.items]
    categories = rng.permutation(max(_CATEGORY_IDS, shape.categories))[: shape.categories]
    properties = _properties(rng, made, items, categories)
    half = len(properties) // 2
    tables = {
        EVENTS: (HEADER, _events(rng, made, items)),
        PROPERTIES[0]: (PROPERTIES_HEADER, properties.slice(0, half)),
        PROPERTIES[1]: (PROPERTIES_HEADER, properties.slice(half)),
        TREE: (TREE_HEADER, _tree(rng, categories)),
    }
    for name, (header, table) in tables.items():
        _write(folder / name, header, table)
    return {name: len(table) for name, (_, table) in tables.items()}


def _events(rng: np.random.Generator, made: Clicks, items: NDArray[np.int64]) -> pa.Table:
    kinds = pa.DictionaryArray.from_arrays(pa.array(made.kinds), pa.array(KINDS))
    table = pa.table(
        {
            "timestamp": made.times,
            "visitorid": made.visitors,
            "event": kinds,
            "itemid": items[made.items],
            "transactionid": pa.array(made.orders, mask=made.orders < 0),
        }
    )
    # The published file is not in order either.
    return table.take(pa.array(rng.permutation(len(table))))


def _properties(
    rng: np.random.Generator,
    made: Clicks,
    items: NDArray[np.int64],
    categories: NDArray[np.int64],
) -> pa.Table:
    """Return the rows of the properties, shuffled."""
    count = len(items)
    everyone = np.arange(count)
    week = rng.integers(1, 18, count)
    sold_out = everyone[rng.random(count) < _SOLD_OUT]
    back = sold_out[rng.random(len(sold_out)) < 0.5]
    repriced = everyone[rng.random(count) < _REPRICED]
    prices = np.exp(rng.normal(10.5, 1.1, count))
    changed = prices * rng.choice([0.8, 0.9, 1.1], count)
    first = np.zeros(count, np.int64)
    rows = [
        (everyone, first, CATEGORY, _text(categories[made.categories])),
        (everyone, first, AVAILABLE, _text(np.ones(count, np.int64))),
        (sold_out, week[sold_out], AVAILABLE, _text(np.zeros(len(sold_out), np.int64))),
        (back, week[back] + 1, AVAILABLE, _text(np.ones(len(back), np.int64))),
        (everyone, first, PRICE, _numbers(prices)),
        (repriced, week[repriced], PRICE, _numbers(changed[repriced])),
        (everyone, first, "888", _text(rng.integers(0, 1_400_000, count))),
    ]
    table = pa.concat_tables(
        pa.table(
            {
                "timestamp": _FIRST_SNAPSHOT + _WEEK * weeks,
                "itemid": items[which],
                "property": pa.repeat(name, len(which)),
                "value": values,
            }
        )
        for which, weeks, name, values in rows
    )
    return table.take(pa.array(rng.permutation(len(table))))


def _tree(rng: np.random.Generator, categories: NDArray[np.int64]) -> pa.Table:
    count = len(categories)
    roots = max(1, count // _ROOTS_IN)
    # Each category below the roots hangs under one of those before it.
    above = (rng.random(count) * np.maximum(np.arange(count), 1)).astype(np.int64)
    parents = pa.array(categories[above], mask=np.arange(count) < roots)
    return pa.table({"categoryid": categories, "parentid": parents})


def _text(numbers: NDArray[np.int64]) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    """Return numbers as the published files have them: `n277200.000`."""
    whole = np.maximum(np.rint(values / 10) * 10, 10).astype(np.int64)
    empty = pa.scalar("")
    return pc.binary_join_element_wise("n", _text(whole), ".000", empty)


def _write(path: Path, header: Sequence[str], table: pa.Table) -> None:
    options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write((",".join(header) + "\n").encode())
        pa_csv.write_csv(table, file, options)
