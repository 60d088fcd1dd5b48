"""All outputs must agree: every contestant's result of every event, value by value, bit by bit."""

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
    """Two contestants computed something else for one event, or one computed it twice."""


def by_transaction(values: Iterable[bytes]) -> dict[bytes, bytes]:
    """Avro bodies by transaction id. Raises DisagreementError if an id comes twice."""
    found: dict[bytes, bytes] = {}
    for value in values:
        size = value[HEADER] >> 1  # ids are short: the zigzag length is one byte
        identity = value[HEADER + 1 : HEADER + 1 + size]
        if identity in found:
            raise DisagreementError(f"{identity.decode()} twice")
        found[identity] = value[HEADER:]
    return found


def compare(whole: dict[bytes, bytes], others: Mapping[str, dict[bytes, bytes]]) -> dict[str, int]:
    """How many events of each other contestant agree with the one that read the whole workload: all of them.

    Raises DisagreementError at the first difference, or if `whole` lacks an event.
    """
    for name, theirs in others.items():
        for identity, body in theirs.items():
            ours = whole.get(identity)
            if ours is None:
                raise DisagreementError(f"{identity.decode()}: only {name} has a result")
            if ours != body and _values(ours) != _values(body):
                raise DisagreementError(f"{identity.decode()}:\nwhole: {_read(ours)}\n{name}: {_read(body)}")
    return {name: len(theirs) for name, theirs in others.items()}


def _read(body: bytes) -> dict[str, Any]:
    record: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), _SCHEMA, None)  # type: ignore[assignment]
    return record


def _values(body: bytes) -> list[Any]:
    return [struct.pack(">d", value) if isinstance(value, float) else value for value in _read(body).values()]
