"""Declare the rows of the fraud job: what a payment and a verdict fill, and features of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.features.declaration import DAY, HOUR, SECOND, Comparison, RowFeature, Type

PAYMENT = (Comparison("kind", "eq", "transaction"),)
VERDICT = (Comparison("kind", "eq", "label"),)

INPUTS: tuple[tuple[str, Type], ...] = (
    ("kind", "STRING"),
    ("event_id", "STRING"),
    ("transaction_id", "STRING"),
    ("event_time", "TIMESTAMP"),
    ("customer_id", "STRING"),
    ("terminal_id", "STRING"),
    ("amount", "DOUBLE"),
    ("is_fraud", "BOOLEAN"),
    ("partition", "BIGINT"),
    ("sequence", "BIGINT"),
    ("order_partition", "BIGINT"),
    ("order_sequence", "BIGINT"),
    ("produced_at", "TIMESTAMP"),
    ("is_night", "BIGINT"),
    ("is_weekend", "BIGINT"),
    ("hour", "DOUBLE"),
)


# Flink's HOUR() and DAYOFWEEK() are right from 1970 on (before that, HOUR() counts backwards), and
# no card is older.
def _is_night(row: Mapping[str, Any]) -> int:
    return int(row["event_time"] // HOUR % 24 <= 6)


def _is_weekend(row: Mapping[str, Any]) -> int:
    return int((row["event_time"] // DAY + 3) % 7 >= 5)  # 1970-01-01 was a Thursday


def _hour(row: Mapping[str, Any]) -> float:
    return float(row["event_time"] % DAY // SECOND / 3600.0)


ROWS = (
    RowFeature(
        "is_night",
        "BIGINT",
        "CASE WHEN HOUR(event_time) <= 6 THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
        _is_night,
        "1 from 00:00 to 06:59 UTC, else 0.",
    ),
    RowFeature(
        "is_weekend",
        "BIGINT",
        "CASE WHEN DAYOFWEEK(CAST(event_time AS DATE)) IN (1, 7) "
        "THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
        _is_weekend,
        "1 on Saturday and Sunday (UTC), else 0.",
    ),
    RowFeature(
        "hour",
        "DOUBLE",
        "(HOUR(event_time) * 3600 + MINUTE(event_time) * 60 + SECOND(event_time)) / 3600E0",
        _hour,
        "Hours since midnight, UTC.",
    ),
)
