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


def compare(outputs: Mapping[str, dict[bytes, bytes]]) -> int:
    """How many events every contestant has, all agreeing; raises DisagreementError at the first difference.

    Contestants may have stopped at different points: events are compared where the smallest set has them, and
    every other contestant must have each of those.
    """
    names = sorted(outputs, key=lambda name: len(outputs[name]))
    first, others = names[0], names[1:]
    for identity, body in outputs[first].items():
        for other in others:
            theirs = outputs[other].get(identity)
            if theirs is None:
                raise DisagreementError(f"{identity.decode()}: {other} has no result")
            if theirs != body and _values(theirs) != _values(body):
                raise DisagreementError(f"{identity.decode()}:\n{first}: {_read(body)}\n{other}: {_read(theirs)}")
    return len(outputs[first])


def _read(body: bytes) -> dict[str, Any]:
    record: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(body), _SCHEMA, None)  # type: ignore[assignment]
    return record


def _values(body: bytes) -> list[Any]:
    return [struct.pack(">d", value) if isinstance(value, float) else value for value in _read(body).values()]
