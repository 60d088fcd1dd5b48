"""Make the lake's tables what the contracts say, and add what a contract has gained.

A table of bronze has the place of a record in its topic, and the record's fields. No column is
required: a field that a contract gains later has no value in what is there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestamptzType,
)

from config.errors import UserError
from config.lake import BRONZE, GOLD, INGESTED, OFFSET, PARTITION, SILVER, TOPIC, LakeTable
from ingestion import schema as contracts

NAMESPACES = (BRONZE, SILVER, GOLD)
_MIB = 1024 * 1024
PROPERTIES = {
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    # A writer holds a row group of each open file in memory: the default, 128 MiB, is a fifth of
    # the TaskManager's heap.
    "write.parquet.row-group-size-bytes": str(16 * _MIB),
    "write.parquet.page-size-bytes": str(_MIB // 4),
    "write.target-file-size-bytes": str(128 * _MIB),
    # Rows stay in the order of the log; one writer has all days.
    "write.distribution-mode": "none",
    # Each commit writes the table's metadata anew.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    # Upkeep commits to the same table.
    "commit.retry.num-retries": "20",
    "commit.retry.max-wait-ms": "5000",
}
_PLACE: dict[str, PrimitiveType] = {
    TOPIC: StringType(),
    PARTITION: IntegerType(),
    OFFSET: LongType(),
    INGESTED: TimestamptzType(),
}
_PRIMITIVES: dict[str, PrimitiveType] = {
    "boolean": BooleanType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "string": StringType(),
    "bytes": BinaryType(),
    "enum": StringType(),
    "fixed": BinaryType(),
}
_LOGICAL: dict[str, PrimitiveType] = {
    "timestamp-millis": TimestamptzType(),
    "timestamp-micros": TimestamptzType(),
    "date": DateType(),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that `apply` did: a table made, a column added, a property set."""

    table: str
    what: str

    def as_dict(self) -> dict[str, str]:
        """Return the change as JSON types."""
        return asdict(self)


def columns(table: LakeTable) -> dict[str, IcebergType]:
    """Return the types of a table's columns, in order. Raise ValueError for an unsupported one."""
    ids = iter(range(1000, 10_000))
    fields = contracts.load(table.record)["fields"]
    return {**_PLACE, **{one["name"]: _type(one["type"], ids) for one in fields}}


def _type(avro: Any, ids: Any) -> IcebergType:
    parts = contracts.parts(avro)
    kind = parts["type"]
    if kind == "array":
        element = _type(parts["items"], ids)
        return ListType(next(ids), element, element_required=False)
    if kind == "map":
        key_id, value_id, value = next(ids), next(ids), _type(parts["values"], ids)
        return MapType(key_id, StringType(), value_id, value, value_required=False)
    known = _LOGICAL.get(parts.get("logicalType", "")) or (
        _PRIMITIVES.get(kind) if isinstance(kind, str) else None
    )
    if known is None:
        raise ValueError(f"no type of Iceberg's for Avro's {avro!r}")
    return known


def schema(table: LakeTable) -> Schema:
    """Return a table's schema as it is created."""
    return Schema(
        *(
            NestedField(number, name, kind, required=False)
            for number, (name, kind) in enumerate(columns(table).items(), 1)
        )
    )


def partitioning(table: LakeTable) -> PartitionSpec:
    """Return a table's partitions: the days of its event time."""
    source = next(one for one in schema(table).fields if one.name == table.time)
    return PartitionSpec(PartitionField(source.field_id, 1000, DayTransform(), f"{table.time}_day"))


def apply(lake: Catalog, declared: Iterable[LakeTable]) -> list[Change]:
    """Create namespaces and tables, add columns, set properties; return what was done.

    A second run does nothing. Raise UserError if a column has another type than its field.
    """
    for namespace in NAMESPACES:
        lake.create_namespace_if_not_exists(namespace)
    return [change for table in declared for change in _apply(lake, table)]


def _apply(lake: Catalog, table: LakeTable) -> list[Change]:
    try:
        found = lake.load_table(table.identifier)
    except NoSuchTableError:
        lake.create_table_if_not_exists(
            table.identifier,
            schema(table),
            partition_spec=partitioning(table),
            properties=PROPERTIES,
        )
        return [Change(str(table), "created")]
    return [*_add_columns(found, table), *_set_properties(found, table)]


def _add_columns(found: Table, table: LakeTable) -> list[Change]:
    existing = {field.name: field.field_type for field in found.schema().fields}
    missing: dict[str, IcebergType] = {}
    for name, kind in columns(table).items():
        if name not in existing:
            missing[name] = kind
        elif _shape(existing[name]) != _shape(kind):
            raise UserError(f"{table}: column {name} is {existing[name]}, its field is {kind}")
    if missing:
        with found.update_schema() as update:
            for name, kind in missing.items():
                update.add_column(name, kind)
    return [Change(str(table), f"column {name} {kind} added") for name, kind in missing.items()]


def _shape(kind: IcebergType) -> str:
    """Return a type without the numbers that its nested fields have in one table."""
    if isinstance(kind, ListType):
        return f"list<{_shape(kind.element_type)}>"
    if isinstance(kind, MapType):
        return f"map<{_shape(kind.key_type)}, {_shape(kind.value_type)}>"
    return str(kind)


def _set_properties(found: Table, table: LakeTable) -> list[Change]:
    changed = {
        name: value for name, value in PROPERTIES.items() if found.properties.get(name) != value
    }
    if changed:
        with found.transaction() as transaction:
            transaction.set_properties(changed)
    return [Change(str(table), f"{name} = {value}") for name, value in changed.items()]
