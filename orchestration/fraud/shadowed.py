"""Compare a challenger with the champion on the payments that both scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from domain.times import iso
from orchestration.fraud.lake import NEWEST, VERDICTS
from orchestration.retraining.lake import Ask, moment

TABLE = "bronze.fraud_shadow_scores"
FIELDS = (
    "transaction_id",
    "event_time",
    "champion",
    "champion_score",
    "champion_decision",
    "challenger",
    "challenger_score",
    "challenger_decision",
)
SIDES = ("champion", "challenger")
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A time span of payments in ms, `until` exclusive; None has no bound."""

    since: int | None = None
    until: int | None = None

    def holds(self, when: int) -> bool:
        """Return whether a time lies in the span."""
        return (self.since is None or when >= self.since) and (
            self.until is None or when < self.until
        )


def compare(
    records: Iterable[Record], verdicts: Mapping[str, bool], asked: Asked
) -> list[dict[str, Any]]:
    """Return the comparison of each pair of models, by the first payment of each, as JSON types.

    Records are in their order of the log: of a payment and a challenger the first counts, as a
    restart may repeat it. `verdicts` say whether a payment was fraud. Precision and recall are
    among payments with a verdict, and None where there is nothing to divide by.
    """
    seen: set[tuple[str, str]] = set()
    pairs: dict[tuple[str, str], list[Record]] = {}
    for one in records:
        mark = (one["transaction_id"], one["challenger"])
        if mark not in seen and asked.holds(one["event_time"]):
            seen.add(mark)
            pairs.setdefault((one["champion"], one["challenger"]), []).append(one)
    return [_compared(*pair, found, verdicts) for pair, found in pairs.items()]


def from_lake(ask: Ask, asked: Asked) -> tuple[list[Record], dict[str, bool]]:
    """Return records and verdicts of the lake. Raise UserError if it lacks a table."""
    bounds = [f"event_time >= {moment(asked.since)}"] if asked.since is not None else []
    bounds += [f"event_time < {moment(asked.until)}"] if asked.until is not None else []
    where = " and ".join(bounds) or "true"
    fields = ", ".join(name for name in FIELDS if name != "event_time")
    query = f"""
    with judged as (
      select transaction_id, is_fraud from {VERDICTS} where is_fraud is not null {NEWEST}
    )
    select {fields}, epoch_ms(event_time) as event_time, is_fraud
    from {TABLE} left join judged using (transaction_id)
    where {where} order by _partition, _offset
    """  # noqa: S608  (numbers and names of ours)
    rows = ask(query, (TABLE, VERDICTS), {}).rows.to_pylist()
    judged = {one["transaction_id"]: one["is_fraud"] for one in rows if one["is_fraud"] is not None}
    return rows, judged


def _compared(
    champion: str, challenger: str, records: Sequence[Record], verdicts: Mapping[str, bool]
) -> dict[str, Any]:
    def pairs(of: Iterable[Record]) -> Counter[tuple[str, str]]:
        return Counter((one["champion_decision"], one["challenger_decision"]) for one in of)

    counts = pairs(records)
    apart = [abs(one["challenger_score"] - one["champion_score"]) for one in records]
    differing = sum(count for (ours, theirs), count in counts.items() if ours != theirs)
    judged = [one for one in records if one["transaction_id"] in verdicts]
    truth = [verdicts[one["transaction_id"]] for one in judged]
    known = pairs(judged)
    frauds = pairs(one for one, fraud in zip(judged, truth, strict=True) if fraud)
    return {
        "champion": champion,
        "challenger": challenger,
        "first": iso(min(one["event_time"] for one in records)),
        "last": iso(max(one["event_time"] for one in records)),
        "payments": len(records),
        "differing": differing,
        "share_differing": differing / len(records),
        "mean_absolute_difference": sum(apart) / len(apart),
        "greatest_difference": max(apart),
        "judged": len(judged),
        "frauds": sum(truth),
        "decisions": [
            {
                "champion": pair[0],
                "challenger": pair[1],
                "payments": count,
                "judged": known[pair],
                "frauds": frauds[pair],
            }
            for pair, count in sorted(counts.items())
        ],
        "quality": {side: _quality(side, judged, truth) for side in SIDES},
    }


def _quality(side: str, judged: Sequence[Record], truth: Sequence[bool]) -> dict[str, Any]:
    y = np.array(truth, dtype=bool)
    decisions = np.array([one[f"{side}_decision"] for one in judged], dtype=str)
    scores = np.array([one[f"{side}_score"] for one in judged], dtype=np.float64)
    return {
        "flagged": _found(y, decisions != "approve"),
        "blocked": _found(y, decisions == "block"),
        "average_precision": float(average_precision_score(y, scores)) if y.any() else None,
    }


def _found(y: Any, chosen: Any) -> dict[str, Any]:
    hits = int((y & chosen).sum())
    return {
        "payments": int(chosen.sum()),
        "precision": hits / int(chosen.sum()) if chosen.any() else None,
        "recall": hits / int(y.sum()) if y.any() else None,
    }
