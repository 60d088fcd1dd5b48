"""Read Retail Rocket's events.csv.

Header `timestamp,visitorid,event,itemid,transactionid`, times in ms, not in order.

The rows are sorted by time before they are replayed (2.8 million of them take about 400 MB),
because windows of event time would treat the others as late. Prices come from property 790 of the
item_properties files, if given: the newest one at the time of the event, else the first one known.
Source: kaggle.com/datasets/retailrocket/ecommerce-dataset.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from config.errors import UserError
from domain.events import ShopEvent
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.encode import RecordEncoder, RefusedError

TOPIC = "shop-events"
HEADER = ("timestamp", "visitorid", "event", "itemid", "transactionid")
PROPERTIES_HEADER = ("timestamp", "itemid", "property", "value")
PRICE = "790"

_ROWS_A_BATCH = 20_000
# 2001 to 2128: a time in seconds, or in microseconds, lies outside.
_EARLIEST, _LATEST = 1_000_000_000_000, 5_000_000_000_000


class Prices:
    """Prices of items over time, from `item_properties` files; always None without files."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        found: dict[str, list[tuple[int, float]]] = {}
        for file in files:
            for moment, item, price in _prices(file):
                found.setdefault(item, []).append((moment, price))
        for listed in found.values():
            listed.sort()
        self._times = {item: [moment for moment, _ in listed] for item, listed in found.items()}
        self._prices = {item: [price for _, price in listed] for item, listed in found.items()}

    def at(self, item: str, moment: int) -> float | None:
        """Return the newest price at `moment` (ms), else the first one known, else None."""
        times = self._times.get(item)
        if times is None:
            return None
        return self._prices[item][max(bisect_right(times, moment) - 1, 0)]


class RetailRocket:
    """The rows of an events.csv in order of time. Raise UserError for another header."""

    def __init__(self, path: Path, prices: Prices | None = None) -> None:
        _check_header(path, HEADER, "Retail Rocket's events.csv")
        self._prices = prices or Prices()
        self._wrong_width: list[Rejected] = []
        self._table = _read(path, HEADER, self._wrong_width)
        moments = np.fromiter(
            (_moment(raw) for raw in self._table.column(0).to_pylist()), np.int64, len(self._table)
        )
        # Rows of the wrong width are not in the table: `numbers` maps back to the file.
        wrong = [row.row for row in self._wrong_width]
        self._numbers = np.setdiff1d(np.arange(self.count()), np.array(wrong, np.int64))
        # Unreadable times are negative: they come first, in the file's order.
        self._order = np.argsort(moments, kind="stable")

    def count(self) -> int:
        """Return the number of rows, those of the wrong width included."""
        return len(self._table) + len(self._wrong_width)

    def __iter__(self) -> Iterator[ShopEvent | Rejected]:
        return (row for _, row in self.numbered())

    def numbered(self) -> Iterator[tuple[int, ShopEvent | Rejected]]:
        """Yield the same rows, each with its number in the file (from 0).

        The order is that of time, so the number is not the position.
        """
        yield from ((wrong.row, wrong) for wrong in self._wrong_width)
        seen: Counter[bytes] = Counter()
        now = -1
        for start in range(0, len(self._order), _ROWS_A_BATCH):
            places = self._order[start : start + _ROWS_A_BATCH]
            columns = [column.to_pylist() for column in self._table.take(pa.array(places)).columns]
            for number, row in zip(
                self._numbers[places].tolist(), zip(*columns, strict=True), strict=True
            ):
                event = self._event(number, row)
                if isinstance(event, ShopEvent):
                    if event.event_time != now:
                        seen.clear()
                        now = event.event_time
                    # Equal rows have equal times, so counting within a millisecond is enough.
                    seen[content := b",".join(row)] += 1
                    event = _identified(event, content, seen[content])
                yield number, event

    def _event(self, number: int, row: tuple[bytes, ...]) -> ShopEvent | Rejected:
        try:
            moment, visitor, kind, item, order = (cell.decode() for cell in row)
            time = int(moment)
        except ValueError as error:
            return Rejected(number, f"timestamp or text unreadable: {error}", repr(row))
        reason = _complaint(time, visitor, kind, item, order)
        if reason:
            return Rejected(number, reason, ",".join((moment, visitor, kind, item, order)))
        return ShopEvent(
            event_id="",
            event_type=kind,
            event_time=time,
            user_id=visitor,
            item_id=item,
            transaction_id=order or None,
            price=self._prices.at(item, time),
        )


def batches(
    rows: RetailRocket, encoder: RecordEncoder, limit: int | None = None
) -> Iterator[Batch]:
    """Yield the first `limit` rows (all if None) as batches for the replay."""
    batch = Batch()
    for place, (number, row) in enumerate(rows.numbered()):
        if limit is not None and place >= limit:
            break
        if isinstance(row, Rejected):
            batch.rejected.append(row)
        else:
            try:
                batch.records.append(
                    Record(TOPIC, row.user_id, encoder.object(row), row.event_time)
                )
            except RefusedError as error:
                batch.rejected.append(Rejected(number, str(error), str(row)))
        batch.rows = place + 1
        if not batch.rows % _ROWS_A_BATCH:
            yield batch
            batch = Batch()
    if batch.rows:
        yield batch


def _identified(event: ShopEvent, content: bytes, occurrence: int) -> ShopEvent:
    """Return the event with an id made of the row's content, and its count if the row repeats."""
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return ShopEvent(
        event_id=f"rr-{digest}" if occurrence == 1 else f"rr-{digest}-{occurrence}",
        event_type=event.event_type,
        event_time=event.event_time,
        user_id=event.user_id,
        item_id=event.item_id,
        transaction_id=event.transaction_id,
        price=event.price,
    )


def _complaint(time: int, visitor: str, kind: str, item: str, order: str) -> str | None:
    if not _EARLIEST <= time < _LATEST:
        return f"timestamp {time} is not in milliseconds since 1970"
    for name, value in (("visitorid", visitor), ("event", kind), ("itemid", item)):
        if not value:
            return f"{name} is empty"
    return "a transaction without transactionid" if kind == "transaction" and not order else None


def _moment(raw: bytes) -> int:
    try:
        return max(min(int(raw), _LATEST), -1)
    except ValueError:
        return -1


def _check_header(path: Path, expected: tuple[str, ...], what: str) -> None:
    try:
        with path.open("rb") as file:
            first = file.readline(1000).decode("utf-8-sig", errors="replace").strip()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    given = tuple(name.strip().strip('"') for name in first.split(","))
    if given != expected:
        raise UserError(
            f"{path} is not {what}: its header is {first!r}, expected {','.join(expected)}"
        )


def _options(names: tuple[str, ...]) -> tuple[pa_csv.ReadOptions, pa_csv.ConvertOptions]:
    read = pa_csv.ReadOptions(use_threads=False, skip_rows=1, column_names=list(names))
    convert = pa_csv.ConvertOptions(
        column_types={name: pa.binary() for name in names}, strings_can_be_null=False
    )
    return read, convert


def _read(path: Path, names: tuple[str, ...], rejected: list[Rejected]) -> pa.Table:
    def keep(row: pa_csv.InvalidRow) -> str:
        reason = f"{row.actual_columns} columns, not {row.expected_columns}"
        rejected.append(Rejected((row.number or 2) - 2, reason, row.text))
        return "skip"

    read, convert = _options(names)
    try:
        return pa_csv.read_csv(path, read, pa_csv.ParseOptions(invalid_row_handler=keep), convert)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], pa.binary()) for name in names})
        raise UserError(f"{path} is not a CSV file: {error}") from error


def _prices(path: Path) -> Iterator[tuple[int, str, float]]:
    """Yield (time in ms, item, price) of the rows of property 790.

    Their values look like `n277200.000`.
    """
    _check_header(path, PROPERTIES_HEADER, "one of Retail Rocket's item_properties files")
    read, convert = _options(PROPERTIES_HEADER)
    parse = pa_csv.ParseOptions(invalid_row_handler=lambda row: "skip")
    with pa_csv.open_csv(path, read, parse, convert) as reader:
        for block in reader:
            table = pa.Table.from_batches([block])
            chosen = table.filter(
                pc.equal(table.column("property"), pa.scalar(PRICE.encode(), pa.binary()))
            )
            for moment, item, _, value in zip(
                *(column.to_pylist() for column in chosen.columns), strict=True
            ):
                try:
                    yield int(moment), item.decode(), float(value.removeprefix(b"n"))
                except ValueError:
                    continue
