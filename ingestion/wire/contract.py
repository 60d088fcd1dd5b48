"""Check what our schemas demand of a record beyond Avro, as the kernel's decoder does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro

from ingestion.wire.encode import EARLIEST_MS, LATEST_MS, MILLIS
from ingestion.wire.unreadable import UnreadableError

_FLOATS = {"float", "double"}


@dataclass(frozen=True, slots=True)
class Contract:
    """One of our schemas, as fastavro parsed it, with the further checks by field."""

    schema: Any
    lengths: tuple[tuple[str, int], ...]
    floats: tuple[str, ...]
    containers: tuple[str, ...]
    times: tuple[str, ...]
    units: Mapping[tuple[str, ...], str]
    """Logical types of integers, by all the names of their field."""

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> Contract:
        """Return the contract of one of our schemas."""
        fields, known = declared["fields"], units(declared)
        return cls(
            schema=fastavro.parse_schema(plain(declared)),
            lengths=tuple(
                (field["name"], field["minLength"]) for field in fields if "minLength" in field
            ),
            floats=tuple(field["name"] for field in fields if _FLOATS & {*_names(field["type"])}),
            containers=tuple(field["name"] for field in fields if _holds_floats(field["type"])),
            times=tuple(name for name, unit in known.items() if unit == MILLIS),
            units={
                (field["name"], *field.get("aliases", [])): known[field["name"]]
                for field in fields
                if field["name"] in known
            },
        )

    def compare(self, written: Mapping[str, str]) -> None:
        """Raise UnreadableError (incompatible_schema) if a field was written in another unit.

        Avro ignores logical types when it resolves, and the value would be wrong in silence.
        """
        for names, unit in self.units.items():
            other = next((written[name] for name in names if name in written), unit)
            if other != unit:
                raise UnreadableError(
                    "incompatible_schema", f"field {names[0]} is written as {other}, read as {unit}"
                )

    def check(self, record: Mapping[str, Any]) -> None:
        """Raise UnreadableError (refused) for a record that breaks the contract."""
        for name, minimum in self.lengths:
            value = record[name]
            if value is not None and len(value) < minimum:
                raise UnreadableError("refused", f"{name} is shorter than {minimum}")
        for name in self.floats:
            value = record[name]
            if value is not None and not math.isfinite(value):
                raise UnreadableError("refused", f"{name} is {value}")
        for name in self.times:
            value = record[name]
            if value is not None and not EARLIEST_MS <= value <= LATEST_MS:
                raise UnreadableError("refused", f"{name} is out of range: {value}")
        for name in self.containers:
            value = record[name]
            items = value.values() if isinstance(value, dict) else value or ()
            if not all(item is None or math.isfinite(item) for item in items):
                raise UnreadableError("refused", f"{name} holds a number that is not finite")


def plain(node: Any) -> Any:
    """Return the schema without logical types: timestamps read and write as integers."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != "logicalType"}
    return [plain(item) for item in node] if isinstance(node, list) else node


def units(declared: Any) -> dict[str, str]:
    """Return the logical types of a record's integer fields, nullable ones too, by name.

    Return nothing for a schema that is not a record.
    """
    fields = declared.get("fields", []) if isinstance(declared, dict) else []
    return {
        field["name"]: branch["logicalType"]
        for field in fields
        for branch in _branches(field["type"])
        if isinstance(branch, dict)
        and branch.get("type") in ("int", "long")
        and "logicalType" in branch
    }


def _branches(kind: Any) -> list[Any]:
    return kind if isinstance(kind, list) else [kind]


def _names(kind: Any) -> Iterator[str]:
    """Yield the names of the types of a field's type, or of its union."""
    for branch in _branches(kind):
        name = branch["type"] if isinstance(branch, dict) else branch
        if isinstance(name, str):
            yield name


def _holds_floats(kind: Any) -> bool:
    """Return whether it is an array or a map, nullable or not, of floating-point numbers."""
    inner = (
        branch.get("items", branch.get("values"))
        for branch in _branches(kind)
        if isinstance(branch, dict)
    )
    return any(_FLOATS & {*_names(one)} for one in inner if one is not None)
