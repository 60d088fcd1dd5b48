"""Read and write the Confluent wire format through fastavro, for the peers.

Schemas are parsed once, and one header is reused.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import load_schema

NAMES = [
    f"{name}_{window}"
    for window in ("1d", "7d", "30d")
    for name in ("count", "sum", "max", "ratio")
]


class Codec:
    """Read Transaction, write RollingResult under the registry id `out_id`."""

    def __init__(self, in_schema: Path, out_schema: Path, out_id: int) -> None:
        # Times stay numbers: without the logical type fastavro makes no datetime of each (twice the
        # time).
        self._in: Any = fastavro.parse_schema(_plain(load_schema(str(in_schema))))
        self._out: Any = fastavro.parse_schema(_plain(load_schema(str(out_schema))))
        self._header = struct.pack(">bI", 0, out_id)

    def decode(self, value: bytes) -> dict[str, Any]:
        """Return the record behind the 5-byte header."""
        stream = io.BytesIO(value)
        stream.seek(5)
        record: dict[str, Any] = fastavro.schemaless_reader(stream, self._in, None)  # type: ignore[assignment]
        return record

    def encode(self, record: dict[str, Any], values: tuple[Any, ...]) -> bytes:
        """Encode one event's result: its id, time and customer, and the 12 values."""
        out = io.BytesIO()
        out.write(self._header)
        result = dict(zip(NAMES, values, strict=True))
        result["transaction_id"] = record["transaction_id"]
        result["event_time"] = record["event_time"]
        result["customer_id"] = record["customer_id"]
        fastavro.schemaless_writer(out, self._out, result)
        return out.getvalue()


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        cleaned = {key: _plain(value) for key, value in schema.items() if not key.startswith("__")}
        return cleaned["type"] if "logicalType" in cleaned else cleaned
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema
