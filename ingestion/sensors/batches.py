"""Turn simulated readings into batches for Kafka, and into files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TextIO

from ingestion.replay.batches import Batch, Record
from ingestion.sensors.simulator import Made, Truth
from ingestion.wire.columnar import ColumnEncoder
from ingestion.wire.encode import RecordEncoder

TOPIC = "sensor-readings"
READINGS, TRUTH = "readings.jsonl", "truth.jsonl"


def batches(
    chunks: Iterable[Made], encoder: RecordEncoder, truth: TextIO, *, live: bool
) -> Iterator[Batch]:
    """Yield each chunk as a batch; what was done to its readings is written before it is sent.

    `live`: readings are sent when they are due, so Kafka's own timestamp says when they arrived.
    """
    columns = ColumnEncoder(encoder)
    rows = 0
    for made in chunks:
        table = made.table.drop_columns("received_at") if live else made.table
        tell(made.truth, truth)
        records = zip(
            repeat(TOPIC),
            table.column("sensor_id").to_pylist(),
            columns.encode(table).to_pylist(),
            made.due.tolist(),
            repeat(True),
            strict=False,
        )
        rows += len(table)
        yield Batch(list(map(partial(tuple.__new__, Record), records)), [], rows)


def tell(found: Iterable[Truth], file: TextIO) -> None:
    """Write the truth as JSON, an object a line."""
    file.writelines(json.dumps(one._asdict()) + "\n" for one in found)
    file.flush()


def write(folder: Path, chunks: Iterable[Made]) -> dict[str, int]:
    """Write readings and truth as JSON lines into a folder; return how many of each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {READINGS: 0, TRUTH: 0}
    with (folder / READINGS).open("w") as readings, (folder / TRUTH).open("w") as truth:
        for made in chunks:
            said = made.table.to_pylist()
            readings.writelines(json.dumps(one) + "\n" for one in said)
            tell(made.truth, truth)
            rows[READINGS] += len(said)
            rows[TRUTH] += len(made.truth)
    return rows
