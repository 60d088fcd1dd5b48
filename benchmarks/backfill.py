"""Measure `millrace backfill fraud-features` on a million payments with a verdict on every tenth.

    python -m benchmarks.backfill [--rows 1000000] [--files 30]

Makes a lake in a temporary folder, needs nothing that runs. The time is the whole command's. Proved
by id: each payment has one vector.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.lake_sql import batches, command
from benchmarks.report import keep, show
from config.lake import lake_tables
from config.settings import Settings
from config.topics import topics
from lakehouse.catalog import catalog
from lakehouse.fraud.backfill import NAME
from lakehouse.tables import apply

EVERY = 10
NAMES = ("transactions", "fraud_labels", "fraud_features", "quarantine")


def fill(settings: Settings, rows: int, files: int) -> None:
    """Make a lake in which every tenth payment of the log is followed by a verdict on it."""
    lake = catalog(settings)
    apply(lake, [one for one in lake_tables(topics().values()) if one.name in NAMES])
    payments, verdicts = (lake.load_table(("bronze", name)) for name in NAMES[:2])
    warnings.filterwarnings("ignore", "Parquet writer option")
    for batch in batches(rows, files):
        number = batch["_offset"].to_numpy()
        places = pa.array(number + number // EVERY)
        payments.append(batch.set_column(batch.column_names.index("_offset"), "_offset", places))
        judged = batch.filter(pa.array(number % EVERY == EVERY - 1))
        after = pc.add(judged["_offset"], pc.add(pc.divide(judged["_offset"], EVERY), 1))
        fraud = pa.array(np.random.default_rng(int(number[0])).random(len(judged)) < 0.05)
        judged = judged.drop_columns(["amount"]).append_column("is_fraud", fraud)
        at = judged.column_names.index("_offset")
        verdicts.append(judged.set_column(at, "_offset", after.cast(pa.int64())))


def backfilled(settings: Settings) -> tuple[float, dict[str, Any]]:
    """Run the command and return its seconds and what it says."""
    words = ("backfill", "fraud-features", "--from", "2026-03-01", "--json")
    took, text = command(settings.state_dir, *words)
    return took, json.loads(text)


def main() -> None:
    """Fill a lake, backfill it, print and keep what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=30, help="commits that the rows come in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"state_dir": Path(folder)})
        fill(settings, options.rows, options.files)
        seconds, told = backfilled(settings)
        table = catalog(settings).load_table(NAME)
        ids = table.scan(selected_fields=("transaction_id",)).to_arrow()["transaction_id"]
    if len(ids) != options.rows or len(pc.unique(ids)) != options.rows:
        raise SystemExit(f"{len(ids)} vectors, {len(pc.unique(ids))} ids of {options.rows}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    found = {
        "payments": options.rows,
        "seconds": round(seconds, 1),
        "payments_per_second": round(options.rows / seconds),
        "peak_mib": peak,
        "left_out": told["left_out"],
    }
    show("millrace backfill fraud-features, whole command", [found])
    keep("backfill", found)


if __name__ == "__main__":
    main()
