"""Compare a packed vector of features with nullable Avro fields: CPU to decode, and bytes.

.venv/bin/python -m benchmarks.vector
"""

from __future__ import annotations

import io
import json
import time
from random import Random
from typing import Any

import fastavro
import numpy as np

RECORDS = 5_000


def fields(count: int) -> dict[str, Any]:
    """Return a schema with `count` nullable doubles."""
    many = [{"name": f"feature_{at}", "type": ["null", "double"]} for at in range(count)]
    return {"type": "record", "name": f"Fields{count}", "fields": many}


def packed() -> dict[str, Any]:
    """Return a schema whose one field holds little-endian doubles, NaN for NULL."""
    return {"type": "record", "name": "Packed", "fields": [{"name": "values", "type": "bytes"}]}


def encoded(schema: Any, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def measured(schema: Any, record: dict[str, Any]) -> tuple[float, int]:
    """Return microseconds of CPU to decode a record to an array of doubles, and its bytes."""
    data = encoded(schema, record)
    begun = time.process_time_ns()
    for _ in range(RECORDS):
        read: Any = fastavro.schemaless_reader(io.BytesIO(data), schema, None)
        if "values" in read:
            np.frombuffer(read["values"], "<f8")
        else:
            np.array([*read.values()], dtype=np.float64)
    return (time.process_time_ns() - begun) / RECORDS / 1000, len(data)


def main() -> None:
    random, found = Random(1), {}
    for count in (40, 114):
        values = [random.choice([None, random.random()]) for _ in range(count)]
        numbers = np.array(values, dtype=np.float64)
        named = dict(zip([f"feature_{at}" for at in range(count)], values, strict=True))
        for kind, schema, record in (
            ("fields", fields(count), named),
            ("packed", packed(), {"values": numbers.tobytes()}),
        ):
            spent, size = measured(fastavro.parse_schema(schema), record)
            found[f"{count} {kind}"] = {"cpu_us": round(spent, 1), "bytes": size}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
