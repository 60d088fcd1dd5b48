"""Read the Fraud Detection Handbook's transactions.

The source is a file (parquet, CSV, or a daily pickle) or a folder of such files.

Columns, in any case: transaction_id, tx_datetime, customer_id, terminal_id, tx_amount and (for
verdicts) tx_fraud; others are ignored. Times without a zone are UTC. Both replay and training read
here, so that a model learns from what the jobs see: a row is either a payment that its topic takes
or it is rejected. Source: github.com/Fraud-Detection-Handbook/simulated-data-raw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from config.errors import UserError
from domain.events import Transaction
from domain.times import moment, nearest
from ingestion.fraud.columns import plain, table_of
from ingestion.fraud.pickles import read_frame
from ingestion.fraud.simulator import Payment
from ingestion.replay.batches import Rejected
from ingestion.wire.encode import EARLIEST_MS, LATEST_MS

_NEEDED = ("transaction_id", "tx_datetime", "customer_id", "terminal_id", "tx_amount")
_VERDICT = "tx_fraud"
_PICKLED = (".pkl", ".pickle")
_SCENARIO = "tx_fraud_scenario"
_SUFFIXES = (".parquet", ".csv", *_PICKLED)
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of the source: the payments among them as columns, and the rejected ones."""

    payments: pa.Table
    rejected: list[Rejected] = field(default_factory=list)


class Handbook:
    """The rows under `path`, files of a folder in order of name.

    Raise UserError if there is nothing to read.
    """

    def __init__(self, path: Path) -> None:
        self.files = _files(path)
        self._columns = [_columns(_names(file), file) for file in self.files]

    @property
    def labelled(self) -> bool:
        """Return whether every file marks which payments are fraud."""
        return all(_VERDICT in columns for columns in self._columns)

    def scenarios(self) -> pa.Table | None:
        """Return `transaction_id` (text) and `scenario` of each row, 0 to 3.

        None if a file does not say. Raise UserError for a scenario that is not a number.
        """
        found = []
        for file in self.files:
            given = {name.lower(): name for name in _names(file)}
            if _SCENARIO not in given:
                return None
            wanted = {"transaction_id": given["transaction_id"], "scenario": given[_SCENARIO]}
            for table in _tables(file, wanted):
                try:
                    text, number = (
                        table[name].cast(kind)
                        for name, kind in (
                            ("transaction_id", pa.string()),
                            ("scenario", pa.int64()),
                        )
                    )
                except pa.ArrowException as error:
                    raise UserError(f"{file}: {given[_SCENARIO]}: {error}") from error
                found.append(pa.table({"transaction_id": text, "scenario": number}))
        return pa.concat_tables(found)

    def count(self) -> int | None:
        """Return the number of rows, or None if it is not known without reading them."""
        if any(file.suffix != ".parquet" for file in self.files):
            return None
        return sum(int(pq.ParquetFile(file).metadata.num_rows) for file in self.files)

    def __iter__(self) -> Iterator[Payment | Rejected]:
        """Yield every row in order: a payment, or the reason for its rejection."""
        number = 0
        for columns in self._read():
            for row in _rows(columns):
                yield _payment(number, row)
                number += 1

    def chunks(self) -> Iterator[Chunk]:
        """Yield the same rows in columns (`ingestion.fraud.columns.SCHEMA`), many at a time.

        A chunk is taken whole if all its rows are plainly payments, else row by row, so that the
        same rows are rejected for the same reasons.
        """
        number = 0
        for columns in self._read():
            rows = len(columns["tx_datetime"])
            if (payments := plain(columns)) is not None:
                yield Chunk(payments)
            else:
                found = [_payment(number + at, row) for at, row in enumerate(_rows(columns))]
                yield Chunk(
                    table_of(row for row in found if isinstance(row, Payment)),
                    [row for row in found if isinstance(row, Rejected)],
                )
            number += rows

    def _read(self) -> Iterator[dict[str, pa.ChunkedArray]]:
        for file, columns in zip(self.files, self._columns, strict=True):
            for table in _tables(file, columns):
                yield _normal(table)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(f"{path} does not exist")
    files = (
        sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
        if path.is_dir()
        else [path]
    )
    if not files or files[0].suffix not in _SUFFIXES:
        raise UserError(f"{path}: no {', '.join(_SUFFIXES)} file there")
    return files


def _names(file: Path) -> list[str]:
    if file.suffix in _PICKLED:
        return [str(name) for name in read_frame(file).columns]
    try:
        if file.suffix == ".csv":
            with csv.open_csv(file) as reader:
                return list(reader.schema.names)
        return list(pq.read_schema(file).names)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} is not a {file.suffix[1:]} file: {error}") from error


def _columns(names: list[str], file: Path) -> dict[str, str]:
    """Return the file's column names by ours."""
    given = {name.lower(): name for name in names}
    missing = [name for name in _NEEDED if name not in given]
    if missing:
        raise UserError(f"{file} has no column {', '.join(missing)} (it has {', '.join(names)})")
    return {name: given[name] for name in (*_NEEDED, _VERDICT) if name in given}


def _tables(file: Path, columns: dict[str, str]) -> Iterator[pa.Table]:
    read = {".parquet": _parquet, ".csv": _csv}.get(file.suffix, _pickle)
    try:
        yield from read(file, columns)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} can't be read to its end: {error}") from error


def _parquet(file: Path, columns: dict[str, str]) -> Iterator[pa.Table]:
    wanted = list(columns.values())
    for batch in pq.ParquetFile(file).iter_batches(_ROWS_AT_ONCE, columns=wanted):
        yield pa.Table.from_batches([batch]).select(wanted).rename_columns(list(columns))


def _csv(file: Path, columns: dict[str, str]) -> Iterator[pa.Table]:
    wanted = list(columns.values())
    options = csv.ConvertOptions(include_columns=wanted)
    yield csv.read_csv(file, convert_options=options).rename_columns(list(columns))


def _pickle(file: Path, columns: dict[str, str]) -> Iterator[pa.Table]:
    frame = read_frame(file)
    yield pa.table({ours: _array(file, theirs, frame[theirs]) for ours, theirs in columns.items()})


def _array(file: Path, name: str, values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeError) as error:
        raise UserError(f"{file}: {name} does not hold values of one type: {error}") from error


def _normal(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the columns by name: timestamps as ms, verdicts false where there are none."""
    columns = {name: table.column(name) for name in table.column_names}
    moment = columns["tx_datetime"]
    if pa.types.is_timestamp(moment.type):
        columns["tx_datetime"] = pc.cast(
            moment, pa.timestamp("ms", moment.type.tz), safe=False
        ).cast(pa.int64())
    elif pa.types.is_integer(moment.type):
        raise UserError("tx_datetime holds integers: a timestamp, or text in ISO 8601, is needed")
    if _VERDICT not in columns:
        columns[_VERDICT] = pa.chunked_array([pa.array([0] * len(table), pa.int64())])
    return columns


def _rows(columns: dict[str, pa.ChunkedArray]) -> Iterator[tuple[Any, ...]]:
    return zip(*(columns[name].to_pylist() for name in (*_NEEDED, _VERDICT)), strict=True)


def _payment(number: int, row: tuple[Any, ...]) -> Payment | Rejected:
    identifier, moment, customer, terminal, amount, verdict = row
    try:
        transaction = Transaction(
            transaction_id=_identifier(identifier),
            event_time=_time(moment),
            customer_id=_identifier(customer),
            terminal_id=_identifier(terminal),
            amount=_amount(amount),
        )
        return Payment(transaction, _verdict(verdict))
    except (TypeError, ValueError, OverflowError) as error:
        named = zip((*_NEEDED, _VERDICT), row, strict=True)
        wrong = next((name for name, value in named if not _fits(name, value)), "row")
        return Rejected(number, f"{wrong}: {error}", repr(row))


def _identifier(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError(f"{value!r} is not an id")
    return str(value)


def _time(value: Any) -> int:
    time = value if type(value) is int else _moment(value)
    if not EARLIEST_MS <= time <= LATEST_MS:
        raise ValueError(f"{time} is out of range")
    return time


def _moment(value: Any) -> int:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a time")
    return nearest(moment(value))


def _amount(value: Any) -> float:
    amount = float(value)
    if not math.isfinite(amount):
        raise ValueError(f"{amount} is not finite")
    return amount


def _verdict(value: Any) -> int:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is neither 0 nor 1")
    return int(value)


_CHECKS: dict[str, Callable[[Any], object]] = {
    "tx_datetime": _time,
    "tx_amount": _amount,
    _VERDICT: _verdict,
}


def _fits(name: str, value: Any) -> bool:
    try:
        _CHECKS.get(name, _identifier)(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
