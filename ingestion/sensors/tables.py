"""Read tables about sensors from CSV: versions of metadata, and series from outside.

A row that is no record is rejected with its reason; the header must be usable.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from config.errors import UserError
from domain.times import moment, nearest
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.encode import RecordEncoder, RefusedError

METADATA, OUTSIDE = "sensor-metadata", "outside-series"
SCOPES = ("sensor", "location")
ROWS_A_BATCH = 5_000

_OF_SENSOR = frozenset({"location"})
_OF_LOCATION = frozenset({"place", "latitude", "longitude"})
_DEGREES = {"latitude": 90.0, "longitude": 180.0}
_NAMED = ("scope", "name", "valid_from")
RESERVED = _OF_SENSOR | _OF_LOCATION | frozenset(_NAMED)
"""Names that no attribute has."""

Row = Mapping[str, str]
Made = Callable[[Row], dict[str, Any]]


def version(
    scope: str, name: str, valid_from: int, said: Mapping[str, str | float | None]
) -> dict[str, Any]:
    """Return a SensorMetadata record. What its scope has no field for is an attribute.

    Raise ValueError, saying what is wrong.
    """
    if scope not in SCOPES:
        raise ValueError(f"scope is {' or '.join(SCOPES)}, not {scope!r}")
    if not name:
        raise ValueError("name is missing")
    fields = _OF_SENSOR if scope == "sensor" else _OF_LOCATION
    given = {key: one for key, one in said.items() if one not in (None, "")}
    if strange := sorted(((_OF_SENSOR | _OF_LOCATION) - fields) & given.keys()):
        raise ValueError(f"{', '.join(strange)}: not of a {scope}")
    return {
        "version_id": f"{scope}/{name}@{valid_from}",
        "scope": scope,
        "name": name,
        "valid_from": valid_from,
        **{key: _field(key, one) for key, one in given.items() if key in fields},
        "attributes": {key: str(one) for key, one in given.items() if key not in fields},
    }


def _field(name: str, said: Any) -> str | float:
    if name not in _DEGREES:
        return str(said)
    degrees = float(said)
    if not abs(degrees) <= _DEGREES[name]:
        raise ValueError(f"{name} is at most {_DEGREES[name]:g} degrees, not {said}")
    return degrees


def described(row: Row) -> dict[str, Any]:
    """Return a row of metadata as its record. Raise ValueError."""
    rest = {name: said for name, said in row.items() if name not in _NAMED}
    return version(row["scope"], row["name"], _time(row["valid_from"]), rest)


def outside(row: Row) -> dict[str, Any]:
    """Return a row of an outside series as its record. Raise ValueError.

    An empty cell says nothing.
    """
    if not row["place"]:
        raise ValueError("place is missing")
    values = {
        name: _number(name, said)
        for name, said in row.items()
        if name not in ("place", "event_time") and said
    }
    if not values:
        raise ValueError("no value is given")
    return {"place": row["place"], "event_time": _time(row["event_time"]), "values": values}


def _number(name: str, said: str) -> float:
    number = float(said)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {said}: no number")
    return number


def _time(said: str) -> int:
    return int(said) if said.lstrip("-").isdecimal() else nearest(moment(said))


class Table:
    """A CSV whose header names fields, and whose rows `made` turns into records of a topic."""

    def __init__(self, path: Path, topic: str, key: str, time: str, made: Made) -> None:
        """Read the header. Raise UserError if there is no such file, or a name that it needs."""
        if not path.is_file():
            raise UserError(f"{path} is not a file")
        self.path, self.topic, self._key, self._time, self._made = path, topic, key, time, made
        with self._open() as file:
            header = next(csv.reader(file), [])
        needed = _NAMED if topic == METADATA else ("place", "event_time")
        if missing := [name for name in needed if name not in header]:
            raise UserError(f"{path}: its header names no {', '.join(missing)}")
        if len(set(header)) < len(header) or "" in header:
            raise UserError(f"{path}: its header must name each column, and each once")

    def _open(self) -> Any:
        return self.path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")

    def count(self) -> int:
        """Return the number of rows, but for empty lines."""
        with self.path.open("rb") as file:
            return max(0, sum(1 for line in file if line.strip()) - 1)

    def batches(self, encoder: RecordEncoder, limit: int | None = None) -> Iterator[Batch]:
        """Yield the first `limit` rows (all if None), in their order."""
        batch = Batch()
        with self._open() as file:
            for number, row in enumerate(csv.DictReader(file)):
                if number == limit:
                    break
                batch.rows = number + 1
                try:
                    record = self._made(_whole(row))
                    value = encoder.record(record)
                except (RefusedError, ValueError, OverflowError) as error:
                    batch.rejected.append(Rejected(number, str(error), str(row)))
                else:
                    due = record[self._time]
                    batch.records.append(Record(self.topic, record[self._key], value, due))
                if batch.rows % ROWS_A_BATCH == 0:
                    yield batch
                    batch = Batch(rows=batch.rows)
        if batch.records or batch.rejected:
            yield batch


def _whole(row: dict[str, Any]) -> Row:
    if None in row or None in row.values():
        raise ValueError("not as many cells as the header has")
    return row


def metadata_table(path: Path) -> Table:
    """Return versions of metadata: scope, name, valid_from; fields of the record; attributes."""
    return Table(path, METADATA, "version_id", "valid_from", described)


def outside_table(path: Path) -> Table:
    """Return values of an outside series: place, event_time, and a column for each value."""
    return Table(path, OUTSIDE, "place", "event_time", outside)
