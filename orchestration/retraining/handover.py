"""Hand results from one step of a retraining to the next, through a folder for each run.

A run is a product's at a logical date: a step done again finds what the run already has, so the
same date gives the same model.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from config.errors import UserError
from config.files import locked, write
from domain.times import nearest
from orchestration.training.frame import Frame

FRAME, LOCK = "frame.parquet", ".lock"
ITEMS = "items"
"""The only column where sessions are learnt from: without their visitors."""
_Y, _TIME, _WHO = "_y", "_event_time", "_customer"


@dataclass(frozen=True, slots=True)
class Run:
    """One run's folder: `<retraining>/<product>/<logical date>/`."""

    product: str
    at: datetime
    folder: Path

    @classmethod
    def of(cls, retraining: Path, product: str, at: datetime) -> Run:
        """Return the run of a logical date. Raise UserError for a time without its zone."""
        if at.tzinfo is None:
            raise UserError(f"{at.isoformat()} names no time zone: write {at.isoformat()}Z")
        moment = at.astimezone(UTC)
        return cls(product, moment, retraining / product / moment.strftime("%Y%m%dT%H%M%SZ"))

    @property
    def at_ms(self) -> int:
        """Return the logical date in ms since 1970."""
        return nearest(self.at)

    @property
    def candidate(self) -> Path:
        """Return the folder of the shelf that holds the run's own model."""
        return self.folder / "candidate"

    def get(self, step: str) -> dict[str, Any] | None:
        """Return what a step handed on, None if it did not run yet."""
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{step}.json").read_text())
        except FileNotFoundError:
            return None
        return found

    def need(self, step: str) -> dict[str, Any]:
        """Return what a step handed on. Raise UserError, naming its command, if it did not run."""
        found = self.get(step)
        if found is None:
            raise UserError(f"nothing to go on with: {self.command(step)}")
        return found

    def put(self, step: str, document: dict[str, Any]) -> dict[str, Any]:
        """Keep what a step hands on, and return it."""
        write(self.folder / f"{step}.json", json.dumps(document, indent=2) + "\n", durable=True)
        return document

    def command(self, step: str) -> str:
        """Return what to type for a step."""
        return f"type `millrace retrain {step} {self.product} --at {self.at.isoformat()}`"

    def drop(self, step: str) -> None:
        """Forget what a step handed on."""
        (self.folder / f"{step}.json").unlink(missing_ok=True)

    def locked(self) -> AbstractContextManager[None]:
        """Keep other steps of this run out."""
        return locked(self.folder / LOCK)

    def put_frame(self, frame: Frame) -> None:
        """Keep the training frame, and drop those of earlier runs: they can be read again."""
        columns = {name: frame.x[:, at] for at, name in enumerate(frame.features)}
        rest = {_Y: frame.y, _TIME: frame.event_time, _WHO: frame.customer}
        self.put_rows(pa.table({**columns, **rest}))

    def frame(self) -> Frame:
        """Return the training frame. Raise UserError if the run has none (any more)."""
        table = self.rows()
        features = tuple(name for name in table.column_names if name not in {_Y, _TIME, _WHO})
        x = np.column_stack([table[name].to_numpy() for name in features])
        who = np.array(table[_WHO].to_pylist(), dtype=np.str_)
        return Frame(features, x, table[_Y].to_numpy(), table[_TIME].to_numpy(), who)

    def put_rows(self, table: pa.Table) -> None:
        """Keep what is learnt from, and drop what earlier runs kept: it can be read again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{FRAME}"
        pq.write_table(table, draft, compression="zstd")
        draft.replace(self.folder / FRAME)
        for other in self.folder.parent.glob(f"*/{FRAME}"):
            if other.parent != self.folder:
                other.unlink(missing_ok=True)

    def rows(self) -> pa.Table:
        """Return what is learnt from. Raise UserError if the run has none (any more)."""
        try:
            return pq.read_table(self.folder / FRAME)
        except FileNotFoundError:
            raise UserError(f"the run has no training frame: {self.command('extract')}") from None

    def has_rows(self) -> bool:
        """Return whether what is learnt from is still there."""
        return (self.folder / FRAME).exists()
