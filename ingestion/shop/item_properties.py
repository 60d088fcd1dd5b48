"""Read Retail Rocket's item_properties files and category_tree.csv.

Header `timestamp,itemid,property,value`, times in ms; each row holds from its time on. Property
`790` is the price (`n277200.000`), `categoryid` the category, `available` is 0 or 1; the others are
hashed and left aside. The tree has the header `categoryid,parentid`, a root has no parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from ingestion.shop.files import blocks, check_header, options

PROPERTIES_HEADER = ("timestamp", "itemid", "property", "value")
TREE_HEADER = ("categoryid", "parentid")
PRICE, CATEGORY, AVAILABLE = "790", "categoryid", "available"

_FAR = 10**13
_SCHEMA = pa.schema(
    {"time": pa.int64(), "item": pa.string(), "property": pa.string(), "value": pa.string()}
)


class Properties:
    """What the files say of items: prices, categories, availability. Without files, nothing."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        found = [block for file in files for block in _blocks(file)]
        self.table = pa.concat_tables(found) if found else _SCHEMA.empty_table()

    def of(self, name: str) -> pa.Table:
        """Return the rows of one property, as `time` (ms), `item`, `value`."""
        chosen = self.table.filter(pc.equal(self.table.column("property"), name))
        return chosen.drop_columns(["property"])


class Prices:
    """Prices of items over time; always NULL without any."""

    def __init__(self, properties: Properties | None = None) -> None:
        rows = (properties or Properties()).of(PRICE)
        fits = pc.match_substring_regex(rows.column("value"), r"^n-?[0-9]+(\.[0-9]+)?$")
        rows = rows.filter(fits)
        text = pc.utf8_slice_codeunits(rows.column("value"), 1)
        items = rows.column("item").unique()
        codes = pc.index_in(rows.column("item"), items).to_numpy().astype(np.int64)
        # Arrow would hash all items again at each look-up.
        self._items = pd.Index(items.to_numpy(zero_copy_only=False), dtype=object)
        times = rows.column("time").to_numpy()
        order = np.lexsort((times, codes))
        self._from = int(times.min(initial=_FAR))
        self._until = int(times.max(initial=self._from))
        # Items one after the other on one line, each as long as the whole time.
        self._span = self._until - self._from + 1
        self._line = codes[order] * self._span + times[order] - self._from
        self._prices = text.cast(pa.float64()).to_numpy()[order]
        self._codes = codes[order]

    def of(self, items: pa.ChunkedArray, times: NDArray[np.int64]) -> pa.Array:
        """Return the newest price of each item at its time (ms), else its first, else NULL."""
        if not len(self._line):
            return pa.nulls(len(items), pa.float64())
        found = self._items.get_indexer(np.array(items.to_pylist(), object))
        known, codes = found >= 0, np.maximum(found, 0).astype(np.int64)
        line = codes * self._span + np.clip(times, self._from, self._until) - self._from
        places = np.searchsorted(self._line, line, side="right") - 1
        # Before its first price, an item's place is the end of the item before it.
        earlier = (places < 0) | (self._codes[np.maximum(places, 0)] != codes)
        return pa.array(self._prices[places + earlier], pa.float64(), mask=~known)


class Tree:
    """The category tree. Without a file, no category has ancestors."""

    def __init__(self, file: Path | None = None) -> None:
        self._parents: dict[str, str] = {}
        if file is not None:
            check_header(file, TREE_HEADER, "Retail Rocket's category_tree.csv")
            read, convert = options(TREE_HEADER, pa.string())
            rows = pa_csv.read_csv(file, read, pa_csv.ParseOptions(), convert)
            pairs = zip(*(column.to_pylist() for column in rows.columns), strict=True)
            self._parents = {child: parent for child, parent in pairs if parent}

    def ancestors(self, category: str) -> list[str]:
        """Return the categories above one, the nearest first. A circle ends where it closes."""
        found: list[str] = []
        while (parent := self._parents.get(category)) and parent not in found:
            found.append(parent)
            category = parent
        return found


def changes(properties: Properties, tree: Tree) -> pa.Table:
    """Return the changes of items as columns of ShopItem, in order of time."""
    categories, available = properties.of(CATEGORY), properties.of(AVAILABLE)
    names = categories.column("value").unique()
    rows = pa.concat_tables([categories, available])
    items = rows.column("item").unique()
    # Each row sets one of two values; NaN leaves it as it was, -1 says that it is not known.
    named = pc.index_in(categories.column("value"), names).to_numpy()
    flags = pc.index_in(available.column("value"), pa.array(["0", "1"])).fill_null(-1).to_numpy()
    frame = pd.DataFrame(
        {
            "item": pc.index_in(rows.column("item"), items).to_numpy(),
            "time": rows.column("time").to_numpy(),
            "category": np.concatenate([named, np.full(len(flags), np.nan)]),
            "available": np.concatenate([np.full(len(named), np.nan), flags]),
        }
    )
    states = frame.groupby(["item", "time"]).last()
    states = states.groupby("item").ffill().fillna(-1)
    before = states.groupby("item").shift(fill_value=-2)
    kept = states[(states != before).any(axis=1)].reset_index()
    return _table(kept.sort_values("time", kind="stable"), items, names, tree)


def _table(states: pd.DataFrame, items: pa.Array, names: pa.Array, tree: Tree) -> pa.Table:
    category = states["category"].to_numpy().astype(np.int64)
    flag = states["available"].to_numpy()
    above = [[], *(tree.ancestors(name) for name in names.to_pylist())]
    return pa.table(
        {
            "item_id": items.take(pa.array(states["item"].to_numpy(), pa.int64())),
            "event_time": pa.array(states["time"].to_numpy(), pa.int64()),
            "category": names.take(pa.array(category, mask=category < 0)),
            "ancestors": pa.DictionaryArray.from_arrays(
                pa.array(category + 1, pa.int32()), pa.array(above, pa.list_(pa.string()))
            ),
            "available": pa.array(flag == 1, pa.bool_(), mask=flag < 0),
        }
    )


def _blocks(path: Path) -> Iterator[pa.Table]:
    """Yield the rows of the three properties that are read, as `_SCHEMA`; wrong rows are none."""
    check_header(path, PROPERTIES_HEADER, "one of Retail Rocket's item_properties files")
    read, convert = options(PROPERTIES_HEADER, pa.binary(), header=False)
    parse = pa_csv.ParseOptions(invalid_row_handler=lambda row: "skip")
    wanted = pa.array([name.encode() for name in (PRICE, CATEGORY, AVAILABLE)], pa.binary())
    for lines in blocks(path):
        block = pa_csv.read_csv(pa.BufferReader(lines), read, parse, convert)
        chosen = block.filter(pc.is_in(block.column("property"), wanted))
        right = pc.and_(
            pc.match_substring_regex(chosen.column("timestamp"), "^[0-9]{1,13}$"),
            pc.match_substring_regex(chosen.column("itemid"), "^[!-~]+$"),
        )
        right = pc.and_(right, pc.match_substring_regex(chosen.column("value"), "^[!-~]+$"))
        chosen = chosen.filter(right)
        text = [column.cast(pa.string()) for column in chosen.columns]
        yield pa.table([text[0].cast(pa.int64()), *text[1:]], schema=_SCHEMA)
