"""Write a simulated shop's events and the truth about its orders into files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from config.errors import UserError
from ingestion.shop.order_simulator import Happened

EVENTS, TRUTH = "events.jsonl", "truth.csv"


def refuse_present(folder: Path) -> None:
    """Raise UserError if one of the files is in the folder: it may be somebody's own."""
    if present := [name for name in (EVENTS, TRUTH) if (folder / name).exists()]:
        raise UserError(f"{folder} holds {', '.join(present)} already: --overwrite replaces them")


def write(folder: Path, happened: Sequence[Happened]) -> Mapping[str, int]:
    """Write `EVENTS`, an event a line, and `TRUTH`, an order line a row; return their rows."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EVENTS).open("wb") as file:
        file.writelines(orjson.dumps(asdict(one.event)) + b"\n" for one in happened)
    lines = [one for one in happened if one.event.event_type == "transaction"]
    with (folder / TRUTH).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("order_id", "event_id", "fraud"))
        table.writerows(
            (one.event.transaction_id, one.event.event_id, one.fraud or "") for one in lines
        )
    return {EVENTS: len(happened), TRUTH: len(lines)}
