"""Read what fraud's model learns from in the lake: vectors as they were logged, with verdicts.

A vector is what the scorer saw, so a model learns from the very numbers that it will be asked
about; nothing is computed anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from config.errors import UserError
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from orchestration.retraining.product import Extract, Report, Window
from orchestration.training.frame import Frame

VECTORS, VERDICTS = "bronze.fraud_features", "bronze.fraud_labels"
BACKFILLED, PAYMENTS = "silver.fraud_vectors", "bronze.transactions"


class Answer(Protocol):
    """Rows of the lake, and the snapshots that they were read from, by table."""

    @property
    def rows(self) -> pa.Table:
        """Return the rows."""
        ...

    @property
    def snapshots(self) -> Mapping[str, int]:
        """Return the snapshots."""
        ...


class Ask(Protocol):
    """Asks the lake: a query, its tables, and the snapshots of those that are pinned."""

    def __call__(self, query: str, names: Sequence[str], pinned: Mapping[str, int]) -> Answer:
        """Return the answer. Raise UserError if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Lake:
    """The lake's vectors. `where` is the folder of its files, by which two lakes differ.

    `backfilled`: history computed by the present declaration, then what was logged
    (docs/truth.md), instead of what was logged alone.
    """

    where: str
    ask: Ask
    backfilled: bool = False

    def asked(self) -> dict[str, Any]:
        """Return which lake it is."""
        return {"lake": self.where} | ({"vectors": BACKFILLED} if self.backfilled else {})

    def tables(self) -> tuple[str, ...]:
        """Return the two tables of bronze that its rows rest on."""
        return PAYMENTS if self.backfilled else VECTORS, VERDICTS

    def read(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        """Return the window's payments whose verdict was known by its end.

        Raise UserError if there is none.
        """
        told = report("reading", None)
        vectors, order = (
            (BACKFILLED, '"partition", "sequence"')
            if self.backfilled
            else (VECTORS, "_partition, _offset")
        )
        answer = self.ask(_query(window, vectors, order), (vectors, VERDICTS), pinned)
        told(len(answer.rows))
        if not len(answer.rows):
            raise UserError(
                f"the lake has no vectors of {GRAPH.version} from {_day(window.begin)} on whose "
                f"verdicts were known by {_day(window.until)}; --data PATH reads a file instead"
            )
        origin = {"source": f"{vectors} and {VERDICTS}", "snapshots": dict(answer.snapshots)}
        return Extract(_frame(answer.rows), origin)


def _query(window: Window, vectors: str, order: str) -> str:
    """Return the question.

    Jobs write at least once, so a payment's first vector counts; of its verdicts the one that was
    the newest at the window's end.
    """
    values = ", ".join(
        f"coalesce(cast({name} as double), cast('nan' as double)) as {name}" for name in FRAUD.model
    )
    return f"""
    with vectors as (
      select *, row_number() over (
        partition by transaction_id order by {order}) as place
      from {vectors}
      where feature_set_version = '{GRAPH.version}'
        and event_time >= {_time(window.begin)} and event_time < {_time(window.until)}
    ),
    verdicts as (
      select transaction_id, is_fraud, row_number() over (
        partition by transaction_id
        order by event_time desc, _partition desc, _offset desc) as place
      from {VERDICTS}
      where event_time < {_time(window.until)} and is_fraud is not null
    )
    select epoch_ms(event_time) as _event_time, customer_id as _customer, is_fraud as _y, {values}
    from vectors join verdicts using (transaction_id)
    where vectors.place = 1 and verdicts.place = 1
    order by event_time, "partition", "sequence", transaction_id
    """  # noqa: S608  (numbers and names of ours)


def _time(ms: int) -> str:
    return f"make_timestamptz({ms * 1000})"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _frame(rows: pa.Table) -> Frame:
    x = np.empty((len(rows), len(FRAUD.model)))
    for at, name in enumerate(FRAUD.model):
        x[:, at] = rows[name].to_numpy()
    who = rows["_customer"].combine_chunks().dictionary_encode()
    customers = np.array(who.dictionary.to_pylist(), dtype=np.str_)[who.indices.to_numpy()]
    return Frame(FRAUD.model, x, rows["_y"].to_numpy(), rows["_event_time"].to_numpy(), customers)
