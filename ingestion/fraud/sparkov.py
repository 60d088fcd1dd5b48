"""Read card payments in the CSV format that Sparkov's generator publishes.

Each row has the card, its holder's place, merchant, category and the merchant's place. Times are
`trans_date_trans_time`, UTC; `unix_time` of the published files is another year. Holders' names and
addresses are not read. Source: github.com/namebrandon/Sparkov_Data_Generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from config.errors import UserError

_HEADER = """,trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,\
state,zip,lat,long,city_pop,job,dob,trans_num,unix_time,merch_lat,merch_long,is_fraud"""
HEADER = tuple(_HEADER.split(","))
_PLACES = ("lat", "long", "merch_lat", "merch_long")
_READ = {
    "trans_num": ("transaction_id", pa.string()),
    "trans_date_trans_time": ("event_time", pa.timestamp("s")),
    "cc_num": ("card", pa.string()),
    "merchant": ("merchant", pa.string()),
    "category": ("category", pa.string()),
    "amt": ("amount", pa.float64()),
    **{name: (name, pa.float64()) for name in _PLACES},
    "is_fraud": ("is_fraud", pa.int8()),
}
SCHEMA = pa.schema(
    {
        name: {"event_time": pa.int64(), "is_fraud": pa.bool_()}.get(name, kind)
        for name, kind in _READ.values()
    }
)


@dataclass(frozen=True, slots=True)
class Read:
    """Payments in order of time, columns of `SCHEMA`, times in ms; how many rows were none."""

    payments: pa.Table
    rejected: int


def read(path: Path) -> Read:
    """Read a CSV file, or those of a folder in order of name.

    Rows without a time, an id, a card, a merchant, a category or a verdict, with an amount that is
    not finite or a place that is not on earth, are left out and counted; of a repeated id the first
    row in time counts. Raise UserError for what is no such file.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no .csv file there")
    table = pa.concat_tables([_table(file) for file in files])
    sound = table.filter(_sound(table))
    if not len(sound):
        raise UserError(f"{path} holds no payments")
    millis = sound["event_time"].cast(pa.timestamp("ms")).cast(pa.int64())
    sound = sound.set_column(sound.schema.get_field_index("event_time"), "event_time", millis)
    ordered = sound.cast(SCHEMA).take(
        pc.sort_indices(sound, [("event_time", "ascending"), ("transaction_id", "ascending")])
    )
    once = _first(ordered)
    return Read(once, len(table) - len(once))


def _table(file: Path) -> pa.Table:
    try:
        with csv.open_csv(file) as reader:
            missing = [name for name in _READ if name not in reader.schema.names]
        if missing:
            raise UserError(f"{file} has no column {', '.join(missing)}")
        options = csv.ConvertOptions(
            include_columns=list(_READ),
            column_types={name: kind for name, (_, kind) in _READ.items()},
            strings_can_be_null=True,
        )
        found = csv.read_csv(file, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} is not in Sparkov's format: {error}") from error
    return found.select(list(_READ)).rename_columns([name for name, _ in _READ.values()])


def _sound(table: pa.Table) -> pa.ChunkedArray:
    """Return which rows are payments; NULL anywhere makes a row none."""
    parts = [
        pc.is_finite(table["amount"]),
        pc.is_in(table["is_fraud"], pa.array([0, 1], pa.int8())),
    ]
    parts += [
        pc.less_equal(pc.abs(table[name]), 90.0 if name.endswith("lat") else 180.0)
        for name in _PLACES
    ]
    parts += [pc.is_valid(table[name]) for name in table.column_names]
    whole = parts[0]
    for part in parts[1:]:
        whole = pc.and_kleene(whole, part)
    return pc.fill_null(whole, fill_value=False)


def _first(table: pa.Table) -> pa.Table:
    coded = table["transaction_id"].combine_chunks().dictionary_encode().indices
    firsts = pa.table({"id": coded, "at": pa.array(range(len(table)))}).group_by("id")
    places = firsts.aggregate([("at", "min")])["at_min"]
    return (
        table if len(places) == len(table) else table.take(pc.sort_indices(places)).combine_chunks()
    )
