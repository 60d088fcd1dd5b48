"""Read Retail Rocket's events.csv.

Header `timestamp,visitorid,event,itemid,transactionid`, times in ms, not in order.

The rows are sorted by time before they are replayed, because windows of event time would treat the
others as late. Prices come from the item_properties files, if given: the newest one at the time of
the event, else the first one known. Source: kaggle.com/datasets/retailrocket/ecommerce-dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.util import hash_array

from ingestion.replay.batches import Rejected
from ingestion.shop.chunks import Chunk, Part, cut
from ingestion.shop.files import check_header, read_bytes
from ingestion.shop.item_properties import Prices

HEADER = ("timestamp", "visitorid", "event", "itemid", "transactionid")

# 2001 to 2128: a time in seconds, or in microseconds, lies outside.
_EARLIEST, _LATEST = 1_000_000_000_000, 5_000_000_000_000
_NIBBLES = np.frombuffer(b"0123456789abcdef", np.uint8)


class RetailRocket:
    """The rows of an events.csv in order of time. Raise UserError for another header."""

    def __init__(self, path: Path, prices: Prices | None = None) -> None:
        check_header(path, HEADER, "Retail Rocket's events.csv")
        self._prices = prices or Prices()
        self._rejected: list[Rejected] = []
        table = read_bytes(path, HEADER, self._rejected)
        # Rows of the wrong width are not in the table: `numbers` maps back to the file.
        wrong = np.array([row.row for row in self._rejected], np.int64)
        self._count = len(table) + len(wrong)
        numbers = np.setdiff1d(np.arange(self._count), wrong, assume_unique=True)
        fits = _plain(table)
        for place in np.flatnonzero(~fits).tolist():
            row = tuple(column[place].as_py() for column in table.columns)
            self._rejected.append(Rejected(int(numbers[place]), _complaint(*row), _content(row)))
        if not fits.all():
            table, numbers = table.filter(pa.array(fits)), numbers[fits]
        times = table.column(0).cast(pa.string()).cast(pa.int64()).to_numpy()
        order = np.argsort(times, kind="stable")
        self._times, self._order, self._numbers = times, order, numbers
        # Of many pieces, picking rows would look for each row's piece.
        self._table = table.combine_chunks()

    def count(self) -> int:
        """Return the number of rows, rejected ones included."""
        return self._count

    def chunks(self, limit: int | None = None) -> Iterator[Chunk]:
        """Yield the first `limit` rows (all if None): the rejected ones, then the events."""
        repeats = _Repeats()

        def part(start: int, end: int) -> Part:
            places = self._order[start:end]
            return self._events(places, repeats), self._numbers[places]

        return cut(self._rejected, len(self._order), limit, part)

    def _events(self, places: NDArray[np.int64], repeats: _Repeats) -> pa.Table:
        raw = self._table.take(pa.array(places)).combine_chunks()
        times = self._times[places]
        text = [column.cast(pa.string()) for column in raw.columns[1:]]
        content = pc.binary_join_element_wise(*raw.columns, pa.scalar(b",", pa.binary()))
        orders = text[3]
        return pa.table(
            {
                "event_id": repeats.identified(content.combine_chunks(), times),
                "event_type": text[1].dictionary_encode(),
                "event_time": pa.array(times),
                "user_id": text[0],
                "item_id": text[2],
                "transaction_id": pc.if_else(pc.equal(orders, ""), None, orders),
                "price": self._prices.of(text[2], times),
            }
        )


class _Repeats:
    """Make ids of the rows' contents, in order of time, and count rows that are equal.

    Equal rows have equal times, so only the last moment is kept from one chunk to the next.
    """

    def __init__(self) -> None:
        self._moment = -1
        self._seen: Counter[bytes] = Counter()

    def identified(self, content: pa.BinaryArray, times: NDArray[np.int64]) -> pa.Array:
        """Return `rr-` and 64 bits of each row's content in hex; with its count if it repeats."""
        hashes = hash_array(content.to_numpy(zero_copy_only=False), categorize=False)
        ids = _hex(b"rr-", hashes)
        _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        edges = (times == self._moment) | (times == times[-1:])
        suspects = np.flatnonzero((counts[inverse] > 1) | edges).tolist()
        mask, others = np.zeros(len(times), bool), []
        for place in suspects:
            if (moment := int(times[place])) != self._moment:
                self._moment, self._seen = moment, Counter()
            row = content[place].as_py()
            self._seen[row] += 1
            if (occurrence := self._seen[row]) > 1:
                mask[place] = True
                others.append(f"{ids[place]}-{occurrence}")
        return pc.replace_with_mask(ids, pa.array(mask), pa.array(others, pa.string()))


def _hex(prefix: bytes, numbers: NDArray[np.uint64]) -> pa.StringArray:
    raw = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    width = len(prefix) + 16
    text = np.empty((len(numbers), width), np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    text[:, len(prefix) :: 2] = _NIBBLES[raw >> 4]
    text[:, len(prefix) + 1 :: 2] = _NIBBLES[raw & 15]
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(numbers), [None, pa.py_buffer(text)]
    )
    return fixed.cast(pa.binary()).cast(pa.string())


def _plain(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows are events; `_complaint` says of the others why not."""
    time, visitor, kind, item, order = table.columns
    fits = pc.match_substring_regex(time, "^[1-4][0-9]{12}$")
    for column in (visitor, kind, item):
        fits = pc.and_(fits, pc.greater(pc.binary_length(column), 0))
    bought = pc.equal(kind, pa.scalar(b"transaction", pa.binary()))
    fits = pc.and_(fits, pc.invert(pc.and_(bought, pc.equal(pc.binary_length(order), 0))))
    found: NDArray[np.bool_] = fits.to_numpy().astype(bool)
    for column in (visitor, kind, item, order):
        try:
            column.cast(pa.string())
        except pa.ArrowInvalid:
            found &= np.array([_is_text(cell) for cell in column.to_pylist()], bool)
    return found


def _is_text(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _complaint(time: bytes, visitor: bytes, kind: bytes, item: bytes, order: bytes) -> str:
    if not time.isdigit():
        return f"timestamp {time!r} is unreadable"
    if not _EARLIEST <= int(time) < _LATEST:
        return f"timestamp {int(time)} is not in milliseconds since 1970"
    for name, value in (("visitorid", visitor), ("event", kind), ("itemid", item)):
        if not value:
            return f"{name} is empty"
    if not all(map(_is_text, (visitor, kind, item, order))):
        return "text unreadable: it is not UTF-8"
    return "a transaction without transactionid"


def _content(row: tuple[bytes, ...]) -> str:
    return b",".join(row).decode(errors="backslashreplace")
