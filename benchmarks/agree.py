"""Compare the outputs of all contestants, event by event and bit by bit."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import load_schema

_SCHEMA = load_schema(str(Path(__file__).parent / "schema" / "RollingResult.avsc"))
HEADER = 5


class DisagreementError(Exception):
    """Two contestants differ over an event, or one of them lacks it or has it twice."""


def by_transaction(name: str, values: Iterable[bytes]) -> dict[bytes, bytes]:
    """Index Avro bodies by transaction id.

    Raise DisagreementError, naming `name`, if an id occurs twice.
    """
    found: dict[bytes, bytes] = {}
    for value in values:
        identity = _identity(value)
        if identity in found:
            raise DisagreementError(f"{name} has two results of {identity.decode()}")
        found[identity] = value[HEADER:]
    return found


def compare(whole: Mapping[bytes, bytes], name: str, values: Iterable[bytes]) -> int:
    """Check the contestant `name` against `whole` and return how many events agree.

    Every event must have exactly one result. `values` are records with their header, taken one at a
    time, so that a contestant's millions never lie in memory beside another's. Raise
    DisagreementError, naming `name` and an event, at the first difference.
    """
    missing = set(whole)
    for value in values:
        identity, body = _identity(value), value[HEADER:]
        if identity not in whole:
            raise DisagreementError(f"only {name} has a result of {identity.decode()}")
        if identity not in missing:
            raise DisagreementError(f"{name} has two results of {identity.decode()}")
        missing.remove(identity)
        ours = whole[identity]
        if ours != body and _values(ours) != _values(body):
            raise DisagreementError(
                f"{identity.decode()}:\nwhole: {_read(ours)}\n{name}: {_read(body)}"
            )
    if missing:
        example = min(missing).decode()
        raise DisagreementError(
            f"{name} lacks {len(missing)} of {len(whole)} events, {example} for instance"
        )
    return len(whole)


def _identity(value: bytes) -> bytes:
    size = value[HEADER] >> 1  # ids are short: the zigzag length is one byte
    return value[HEADER + 1 : HEADER + 1 + size]


def _read(body: bytes) -> dict[str, Any]:
    record: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), _SCHEMA, None)  # type: ignore[assignment]
    return record


def _values(body: bytes) -> list[Any]:
    return [
        struct.pack(">d", value) if isinstance(value, float) else value
        for value in _read(body).values()
    ]
