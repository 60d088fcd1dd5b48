"""Let DuckDB read one snapshot of an Iceberg table.

Local Parquet files are read by DuckDB itself, each column found by its Iceberg field id, so that a
file older than a change of the schema reads as the snapshot's schema says. Columns, filters and
statistics of row groups are DuckDB's business. Files elsewhere go through PyArrow's dataset, which
takes columns and filters too. A snapshot with delete files (no writer of ours makes any) is read
whole by PyIceberg.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError
from pyiceberg.io.pyarrow import PyArrowFileIO, schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import (
    DecimalType,
    FixedType,
    IcebergType,
    ListType,
    MapType,
    StructType,
    TimestamptzType,
)

from config.errors import UserError

NAMESPACES = ("bronze", "silver", "gold", "ops")

_SIMPLE = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "string": "VARCHAR",
    "uuid": "UUID",
    "binary": "BLOB",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What a reader sees: a snapshot of one table, all tables as of a time, or what is now."""

    snapshot: int | None = None
    at: datetime | None = None

    def of(self, table: Table, name: str) -> int | None:
        """Return the snapshot id to read; None: the table has held nothing yet.

        Raise UserError if the table has no such snapshot, or none that old.
        """
        if self.snapshot is not None:
            if table.snapshot_by_id(self.snapshot) is None:
                raise UserError(f"{name} has no snapshot {self.snapshot} (any more)")
            return self.snapshot
        if self.at is not None:
            found = table.snapshot_as_of_timestamp(int(self.at.timestamp() * 1000))
            if found is None:
                raise UserError(
                    f"{name} has no snapshot (any more) as old as {self.at.isoformat()}"
                )
            return found.snapshot_id
        current = table.current_snapshot()
        return None if current is None else current.snapshot_id


NOW = Moment()


def tables(catalog: Catalog) -> list[str]:
    """Return the names of all tables of the lake's namespaces, `bronze.transactions` and so on."""
    found = []
    for namespace in NAMESPACES:
        try:
            found += [".".join(one) for one in catalog.list_tables(namespace)]
        except NoSuchNamespaceError:
            continue
    return sorted(found)


def show(con: duckdb.DuckDBPyConnection, name: str, table: Table, moment: Moment = NOW) -> None:
    """Make a table's snapshot a view of DuckDB's, `name` being namespace and table."""
    namespace, _, short = name.partition(".")
    con.execute(f"create schema if not exists {quoted(namespace)}")
    view = f"create or replace view {quoted(namespace)}.{quoted(short)} as"
    snapshot = moment.of(table, name)
    scan = table.scan(snapshot_id=snapshot)
    schema = scan.projection()
    tasks = [] if snapshot is None else list(scan.plan_files())
    paths = [task.file.file_path for task in tasks]
    if not tasks:
        con.execute(f"{view} {_nothing(schema)}")
        return
    whole = any(task.delete_files for task in tasks)
    if not whole and all(map(_is_local, paths)):
        con.execute(f"{view} {_parquet(schema, paths)}")
    else:
        source = f"{namespace}_{short}_arrow"
        con.register(source, scan.to_arrow() if whole else _dataset(table, schema, paths))
        con.execute(f"{view} select * from {quoted(source)}")


def show_kept(
    con: duckdb.DuckDBPyConnection, name: str, table: Table | None, schema: pa.Schema
) -> None:
    """Make a table of ours a view of DuckDB's, an empty one where there is none yet."""
    if table is not None:
        show(con, name, table)
        return
    namespace, _, short = name.partition(".")
    con.execute(f"create schema if not exists {quoted(namespace)}")
    con.register(f"no_{short}", schema.empty_table())
    con.execute(f"create or replace view {name} as select * from {quoted(f'no_{short}')}")


def rows(asked: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return what was asked as a dictionary a row."""
    names = [one[0] for one in asked.description or ()]
    return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]


def in_ms(table: Table) -> str:
    """Return the columns of a SELECT that has all of a table's, with its times in ms."""
    times = ", ".join(
        f"epoch_ms({quoted(one.name)}) as {quoted(one.name)}"
        for one in table.schema().fields
        if isinstance(one.field_type, TimestamptzType)
    )
    return f"* replace ({times})"


def chosen(names: Sequence[str], there: Sequence[str]) -> Sequence[str]:
    """Return `names`, all of `there` if none. Raise UserError for one that is not there."""
    if unknown := [name for name in names if name not in there]:
        raise UserError(f"no table {unknown[0]!r}; there are: {', '.join(there) or 'none yet'}")
    return names or there


def settle(con: duckdb.DuckDBPyConnection, memory: str, spill: Path) -> None:
    """Have a connection keep to UTC, fetch no extension, and spill to a folder beyond `memory`.

    `memory` is as DuckDB writes it: 1GB.
    """
    con.execute("set autoinstall_known_extensions = false")
    con.execute(f"set memory_limit = {literal(memory)}")
    con.execute(f"set temp_directory = {literal(str(spill))}")
    con.execute("set preserve_insertion_order = false")
    con.execute("set TimeZone = 'UTC'")


def quoted(name: str) -> str:
    """Return a name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL's literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_type(of: IcebergType) -> str:
    """Return DuckDB's name of an Iceberg type."""
    if isinstance(of, DecimalType):
        return f"DECIMAL({of.precision},{of.scale})"
    if isinstance(of, ListType):
        return f"{sql_type(of.element_type)}[]"
    if isinstance(of, MapType):
        return f"MAP({sql_type(of.key_type)}, {sql_type(of.value_type)})"
    if isinstance(of, StructType):
        inner = ", ".join(f"{quoted(one.name)} {sql_type(one.field_type)}" for one in of.fields)
        return f"STRUCT({inner})"
    return "BLOB" if isinstance(of, FixedType) else _SIMPLE[str(of)]


def _nothing(schema: Schema) -> str:
    columns = ", ".join(
        f"cast(null as {sql_type(one.field_type)}) as {quoted(one.name)}" for one in schema.fields
    )
    return f"select {columns} where false"


def _parquet(schema: Schema, paths: list[str]) -> str:
    columns = ", ".join(
        f"{one.field_id}: {{name: {literal(one.name)}, type: {literal(sql_type(one.field_type))}, "
        "default_value: NULL}"
        for one in schema.fields
    )
    files = ", ".join(literal(_local(path)) for path in paths)
    return f"select * from read_parquet([{files}], schema=MAP {{{columns}}})"


def _dataset(table: Table, schema: Schema, paths: list[str]) -> ds.Dataset:
    """Return files elsewhere as one dataset: columns by name, those a file lacks are null."""
    scheme, netloc, _ = PyArrowFileIO.parse_location(paths[0])
    io = PyArrowFileIO(table.io.properties)
    files = [PyArrowFileIO.parse_location(path)[2] for path in paths]
    arrow: pa.Schema = schema_to_pyarrow(schema, include_field_ids=False)
    filesystem = io.fs_by_scheme(scheme, netloc)
    return ds.dataset(files, schema=arrow, format="parquet", filesystem=filesystem)


def _is_local(path: str) -> bool:
    return urlparse(path).scheme in ("", "file")


def _local(path: str) -> str:
    found = urlparse(path)
    return found.path if found.scheme == "file" else path
