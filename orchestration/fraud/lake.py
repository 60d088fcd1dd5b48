"""Read what fraud's model learns from in the lake: vectors as they were logged, with verdicts.

A vector is what the scorer saw, so a model learns from the very numbers that it will be asked
about; nothing is computed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from config.errors import UserError
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from orchestration.retraining.lake import Ask, moment
from orchestration.retraining.product import Extract, Report, Window
from orchestration.training.frame import Frame

VECTORS, VERDICTS = "bronze.fraud_features", "bronze.fraud_labels"
NEWEST = """qualify row_number() over (
  partition by transaction_id order by event_time desc, _partition desc, _offset desc) = 1"""
"""Of the verdicts on a payment keep the one told last."""
BACKFILLED, PAYMENTS = "silver.fraud_vectors", "bronze.transactions"
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Lake:
    """The lake's vectors. `where` is the folder of its files, by which two lakes differ.

    `backfilled`: history computed by the present declaration, then what was logged
    (docs/truth.md), instead of what was logged alone. `delay_ms`: a verdict counts if it was given
    within that time after its payment, on every payment alike, and payments end that long before
    the window does. With that delay as gap no part of a split learns of verdicts that the next part
    begins before, and the last days do not hold quick verdicts alone. `end` says up to which place
    of the log history was backfilled.
    """

    where: str
    ask: Ask
    backfilled: bool = False
    delay_ms: int = 7 * _DAY_MS
    end: Callable[[], int | None] = lambda: None

    def asked(self) -> dict[str, Any]:
        """Return which lake it is."""
        told = {"lake": self.where, "delay_ms": self.delay_ms}
        return told | ({"vectors": BACKFILLED} if self.backfilled else {})

    def tables(self) -> tuple[str, ...]:
        """Return the two tables of bronze that its rows rest on."""
        return PAYMENTS if self.backfilled else VECTORS, VERDICTS

    def read(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        """Return the window's payments that had time to be judged, and were.

        Raise UserError if there is none.
        """
        told = report("reading", None)
        if self.backfilled:
            pinned = {**self._reached(window, pinned), **pinned}
        vectors, order = (
            (BACKFILLED, '"partition", "sequence"')
            if self.backfilled
            else (VECTORS, "_partition, _offset")
        )
        answer = self.ask(
            _query(window, vectors, order, self.delay_ms), (vectors, VERDICTS), pinned
        )
        snapshots = {**pinned, **answer.snapshots} if self.backfilled else answer.snapshots
        told(len(answer.rows))
        if not len(answer.rows):
            raise UserError(
                f"the lake has no vectors of {GRAPH.version} from {_day(window.begin)} to "
                f"{_day(window.until - self.delay_ms)} with a verdict within "
                f"{self.delay_ms / _DAY_MS:g} days (MILLRACE_RETRAIN_VERDICT_DAYS); --data PATH "
                "reads a file instead"
            )
        origin = {"source": f"{vectors} and {VERDICTS}", "delay_ms": self.delay_ms}
        origin |= {"snapshots": dict(snapshots)}
        return Extract(_frame(answer.rows), origin)

    def _reached(self, window: Window, pinned: Mapping[str, int]) -> Mapping[str, int]:
        """Return the snapshots that the backfilled vectors were compared with payments at.

        Raise UserError if payments of the window lie behind the end: nobody would see that the
        newest are missing.
        """
        until, end = window.until - self.delay_ms, self.end()
        query = f"""
        select count(*) as missing, max(epoch_ms(event_time)) as newest
        from {PAYMENTS}
        where _offset > {-1 if end is None else end} and event_time >= {moment(window.begin)}
          and event_time < {moment(until)}
          and transaction_id not in (select transaction_id from {BACKFILLED})
        """  # noqa: S608  (numbers and names of ours)
        answer = self.ask(query, (BACKFILLED, PAYMENTS), pinned)
        if missing := answer.rows["missing"][0].as_py():
            raise UserError(
                f"{BACKFILLED} lacks {missing} payments, up to "
                f"{_day(answer.rows['newest'][0].as_py())}: "
                "`millrace backfill fraud-features --follow`"
            )
        return answer.snapshots


def _query(window: Window, vectors: str, order: str, delay_ms: int) -> str:
    """Return the question.

    Jobs write at least once, so a payment's first vector counts; of its verdicts the one that was
    the newest when the delay was over.
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
        and event_time >= {moment(window.begin)} and event_time < {moment(window.until - delay_ms)}
    ),
    paid as (select * from vectors where place = 1),
    verdicts as (
      select transaction_id, told.is_fraud, row_number() over (
        partition by transaction_id
        order by told.event_time desc, told._partition desc, told._offset desc) as place
      from {VERDICTS} told join paid using (transaction_id)
      where told.is_fraud is not null
        and epoch_ms(told.event_time) <= epoch_ms(paid.event_time) + {delay_ms}
    )
    select epoch_ms(event_time) as _event_time, customer_id as _customer, is_fraud as _y, {values}
    from paid join verdicts using (transaction_id)
    where verdicts.place = 1
    order by event_time, "partition", "sequence", transaction_id
    """  # noqa: S608  (numbers and names of ours)


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _frame(rows: pa.Table) -> Frame:
    x = np.empty((len(rows), len(FRAUD.model)))
    for at, name in enumerate(FRAUD.model):
        x[:, at] = rows[name].to_numpy()
    who = rows["_customer"].combine_chunks().dictionary_encode()
    customers = np.array(who.dictionary.to_pylist(), dtype=np.str_)[who.indices.to_numpy()]
    return Frame(FRAUD.model, x, rows["_y"].to_numpy(), rows["_event_time"].to_numpy(), customers)
