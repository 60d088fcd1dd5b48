"""Read readings from files: JSON lines, or CSV with a header, in the order they were received."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from config.errors import UserError
from domain.times import moment
from ingestion import schema
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.encode import RecordEncoder, RefusedError

TOPIC = "sensor-readings"
ROWS_A_BATCH = 5_000

_FIELDS = {field["name"]: field["type"] for field in schema.load("SensorReading")["fields"]}
_TIMES = ("timestamp", "received_at")
_NUMBERS = tuple(name for name, kind in _FIELDS.items() if kind == ["null", "double"])


class ReadingsFile:
    """Readings of a file: one JSON object a line, or a CSV (`.csv`) whose header names fields.

    Times are ISO 8601 (UTC without a zone) or milliseconds. A reading that does not say when it was
    received was received with the newest one before it: so the gate's freshness is that of then.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet. Raise UserError if there is no such file, or its header is unknown."""
        if not path.is_file():
            raise UserError(f"{path} is not a file")
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
        batch, newest = Batch(), None
        for number, row in enumerate(self._rows()):
            if number == limit:
                break
            batch.rows = number + 1
            try:
                record = reading(row)
                newest = max(newest or record["timestamp"], record["timestamp"])
                record.setdefault("received_at", newest)
                if number < skip:
                    continue
                value = encoder.record(record)
            except (RefusedError, ValueError, TypeError, OverflowError) as error:
                if number < skip:
                    continue
                batch.rejected.append(Rejected(number, str(error), json.dumps(row)))
            else:
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
                yield from csv.DictReader(file)
                return
            for line in file:
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError:
                        yield line


def reading(row: Any) -> dict[str, Any]:
    """Return a row as a record. Raise ValueError or TypeError, saying what is wrong."""
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
    return round(moment(said).timestamp() * 1000)
