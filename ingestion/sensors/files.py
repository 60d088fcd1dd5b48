"""Read readings from files: JSON lines, or CSV with a header, in the order they were received."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from config.clock import now_ms
from config.errors import UserError
from config.topics import topics
from domain.times import moment, nearest
from ingestion import schema
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.encode import RecordEncoder, RefusedError

TOPIC = "sensor-readings"
ROWS_A_BATCH = 5_000
UNREADABLE = (RefusedError, ValueError, TypeError, OverflowError, RecursionError)
"""What `reading` and the encoder raise for what is no reading."""

_FIELDS = {field["name"]: field["type"] for field in schema.load("SensorReading")["fields"]}
_TIMES = ("timestamp", "received_at")
_NUMBERS = tuple(name for name, kind in _FIELDS.items() if kind == ["null", "double"])


class ReadingsFile:
    """Readings of a file: one JSON object a line, or a CSV (`.csv`) whose header names fields.

    Times are ISO 8601 (UTC without a zone) or milliseconds. A reading that does not say when it was
    received was received with the newest one before it: so the gate's freshness is that of then.
    Nothing was received later than `now` says (ms): a year mistyped makes none after it stale.
    """

    def __init__(self, path: Path, now: Callable[[], int] = now_ms) -> None:
        """Open nothing yet. Raise UserError if there is no such file, or its header is unknown."""
        if not path.is_file():
            raise UserError(f"{path} is not a file")
        self._now, self._room = now, topics()[TOPIC].room
        self.path, self._csv = path, path.suffix.lower() == ".csv"
        if self._csv:
            with self._open() as file:
                header = next(csv.reader(file), [])
            if "sensor_id" not in header or "timestamp" not in header:
                raise UserError(f"{path}: its header names no sensor_id or no timestamp")
            if unknown := [name for name in header if name not in _FIELDS]:
                raise UserError(
                    f"{path}: {', '.join(unknown)} is no field of a reading: {', '.join(_FIELDS)}"
                )

    def _open(self) -> TextIO:
        # A byte that is no UTF-8 becomes a character that cannot be encoded: its row is rejected.
        return self.path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")

    def count(self) -> int:
        """Return the number of rows."""
        with self.path.open("rb") as file:
            lines = sum(1 for line in file if line.strip())
        return max(0, lines - self._csv)

    def batches(
        self, encoder: RecordEncoder, limit: int | None = None, skip: int = 0
    ) -> Iterator[Batch]:
        """Yield the first `limit` rows (all if None) but for `skip` of them.

        Those that are no readings are rejected.
        """
        batch, newest, now = Batch(), 0, self._now()
        for number, row in enumerate(self._rows()):
            if number == limit:
                break
            batch.rows = number + 1
            try:
                record = reading(row)
                said = record["timestamp"]
                record.setdefault("received_at", min(max(newest or said, said), now))
                value = encoder.record(record)
                if len(value) > self._room // 2:  # its key is in the value, too
                    raise ValueError(f"{len(value)} bytes are too many for a reading")
            except UNREADABLE as error:
                if number >= skip:
                    batch.rejected.append(Rejected(number, str(error), _content(row)))
            else:
                newest = max(newest, said) if said <= now else newest
                if number < skip:
                    continue
                key, due = record["sensor_id"], record["received_at"]
                batch.records.append(Record(TOPIC, key, value, due))
            if batch.rows % ROWS_A_BATCH == 0:
                yield batch
                batch = Batch(rows=batch.rows)
        if batch.records or batch.rejected:
            yield batch

    def _rows(self) -> Iterator[Any]:
        with self._open() as file:
            if self._csv:
                yield from _table(file)
                return
            for line in file:
                if line.strip():
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError):
                        yield line


def _table(file: TextIO) -> Iterator[Any]:
    """Yield the rows of a CSV, and for one that cannot be read the error: the next ones can."""
    rows = csv.DictReader(file)
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield error


def _content(row: Any) -> str:
    try:
        return json.dumps(row)
    except (ValueError, TypeError, RecursionError):
        return ""


def reading(row: Any) -> dict[str, Any]:
    """Return a row as a record. Raise ValueError or TypeError, saying what is wrong."""
    if isinstance(row, csv.Error):
        raise TypeError(f"no row of a CSV: {row}")
    if not isinstance(row, dict):
        raise TypeError("not a JSON object")
    if unknown := [_shown(name) for name in row if name not in _FIELDS]:
        raise ValueError(f"{', '.join(unknown)}: no field of a reading")
    record = {name: said for name, said in row.items() if said not in (None, "")}
    for name in ("sensor_id", "timestamp"):
        if name not in record:
            raise ValueError(f"{name} is missing")
    for name in _TIMES:
        if name in record:
            record[name] = _time(name, record[name])
    for name in _NUMBERS:
        if name in record:
            record[name] = float(record[name])
    return record


def _shown(name: Any) -> str:
    """Return a name as it can be printed and logged."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def _time(name: str, said: Any) -> int:
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    if not isinstance(said, str):
        raise TypeError(f"{name}: {said!r} is no time")
    if said.lstrip("-").isdecimal():
        return int(said)
    return nearest(moment(said))
