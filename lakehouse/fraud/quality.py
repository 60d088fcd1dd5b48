"""Measure the decisions on payments by the verdicts that have come in, day by day of payment.

Every day is computed anew from what the lake has, so a late or corrected verdict changes the day of
its payment whenever it comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog

from lakehouse.query import ask

SCORES, VERDICTS = "bronze.fraud_scores", "bronze.fraud_labels"
KNOWN, DAYS, LOOKED_AT = 0.5, 7, 60
"""`pooled` takes the newest 7 days of the last 60 of which half of the payments have a verdict."""
BINS = 10


@dataclass(frozen=True, slots=True)
class Pooled:
    """The quality of the days from `first` to `last`, together; `figures` are those of a day."""

    first: date
    last: date
    figures: dict[str, Any]


def by_day(
    con: duckdb.DuckDBPyConnection,
    lake: Catalog,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return the quality of each day of payments within a span, the oldest first.

    `flagged` is what was reviewed or blocked. `precision` and `recall`, with and without the prefix
    `block_`, `average_precision` and `calibration_error` are among payments with a verdict (None
    where there is nothing to divide by); `known` is the share of those. Raise UserError if the lake
    lacks a table.
    """
    bounds = [f"event_time >= {_moment(since)}"] if since is not None else []
    bounds += [f"event_time < {_moment(until)}"] if until is not None else []
    return _asked(con, lake, "cast(event_time as date)", " and ".join(bounds) or "true")


def pooled(con: duckdb.DuckDBPyConnection, lake: Catalog) -> Pooled | None:
    """Return the quality of the newest days with enough verdicts; None without any.

    Raise UserError if the lake lacks a table.
    """
    newest = f"(select max(event_time) from {SCORES})"
    recent = f"event_time >= {newest} - interval {LOOKED_AT} days"
    days = _asked(con, lake, "cast(event_time as date)", recent)
    settled = [one["day"] for one in days if one["known"] >= KNOWN][-DAYS:]
    if not settled:
        return None
    (figures,) = _asked(con, lake, "null", f"cast(event_time as date) in ({_dates(settled)})")
    return Pooled(settled[0], settled[-1], figures)


def _asked(
    con: duckdb.DuckDBPyConnection, lake: Catalog, day: str, where: str
) -> list[dict[str, Any]]:
    answer = ask(con, lake, _query(day, where))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _query(day: str, where: str) -> str:
    """Return the question, by `day`.

    Jobs write at least once, so the first score of a payment counts; of its verdicts the newest.
    Average precision is a sum over the distinct scores, the greatest first: what share of the
    frauds has that score, times the precision of all that have it or more. The calibration error is
    that of Guo et al. (2017), in ten equally wide bins.
    """
    return f"""
    with scored as (
      select transaction_id, {day} as day, score, decision, model_version
      from {SCORES}
      where {where}
      qualify row_number() over (
        partition by transaction_id order by _partition, _offset) = 1
    ),
    verdicts as (
      select transaction_id, is_fraud
      from {VERDICTS}
      where is_fraud is not null and transaction_id in (select transaction_id from scored)
      qualify row_number() over (
        partition by transaction_id order by event_time desc, _partition desc, _offset desc) = 1
    ),
    paid as (
      select scored.*, is_fraud is not null as judged, coalesce(is_fraud, false) as fraud,
        decision <> 'approve' as flagged, decision = 'block' as blocked
      from scored left join verdicts on scored.transaction_id = verdicts.transaction_id
    ),
    steps as (
      select day, score, count(*) as payments, count_if(fraud) as frauds
      from paid where judged group by day, score
    ),
    ranked as (
      select day, frauds,
        sum(frauds) over so_far as found, sum(payments) over so_far as taken
      from steps
      window so_far as (
        partition by day order by score desc rows between unbounded preceding and current row)
    ),
    order_of as (
      select day, sum(frauds * found / taken) / nullif(sum(frauds), 0) as average_precision
      from ranked group by day
    ),
    bins as (
      select day, count(*) as payments, abs(avg(score) - avg(cast(fraud as int))) as error
      from paid where judged group by day, least(floor(score * {BINS}), {BINS - 1})
    ),
    calibrated as (
      select day, sum(payments * error) / sum(payments) as calibration_error
      from bins group by day
    ),
    counted as (
      select day,
        count(*) as payments,
        count_if(judged) as judged,
        count_if(fraud) as frauds,
        count_if(flagged) as flagged,
        count_if(blocked) as blocked,
        count_if(judged and flagged) as judged_flagged,
        count_if(judged and blocked) as judged_blocked,
        count_if(fraud and flagged) as caught,
        count_if(fraud and blocked) as caught_blocked,
        list_sort(list(distinct model_version)) as models
      from paid group by day
    )
    select counted.*,
      judged / payments as known,
      caught / nullif(judged_flagged, 0) as "precision",
      caught / nullif(frauds, 0) as recall,
      caught_blocked / nullif(judged_blocked, 0) as block_precision,
      caught_blocked / nullif(frauds, 0) as block_recall,
      average_precision,
      calibration_error
    from counted
    left join order_of on counted.day is not distinct from order_of.day
    left join calibrated on counted.day is not distinct from calibrated.day
    order by counted.day
    """


def _moment(when: datetime) -> str:
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return f"make_timestamptz({since // timedelta(microseconds=1)})"


def _dates(days: Sequence[date]) -> str:
    return ", ".join(f"date '{day.isoformat()}'" for day in days)
