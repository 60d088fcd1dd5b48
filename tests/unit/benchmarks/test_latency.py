"""Which scores are those of the payments whose latency is measured."""

from __future__ import annotations

import io
from collections.abc import Iterator

import fastavro

from benchmarks.latency import scored
from ingestion.schema import load

SCHEMA = fastavro.parse_schema({**load("FraudScore")})
RUN = "lat7-"


def score(identity: str, scored_at: int = 0) -> bytes:
    """A record as it lies in fraud-scores."""
    words = dict.fromkeys(
        ("customer_id", "terminal_id", "model_version", "feature_set_version"), "x"
    )
    numbers = dict.fromkeys(
        ("event_time", "amount", "score", "sequence", "produced_at", "features_at"), 0
    )
    rest = {"decision": "approve", "reasons": [], "late": False, "scored_at": scored_at}
    out = io.BytesIO()
    fastavro.schemaless_writer(
        out, SCHEMA, {"transaction_id": identity, **words, **numbers, **rest}
    )
    return bytes(5) + out.getvalue()


def numbers(*values: bytes) -> Iterator[int]:
    return (number for number, _, _ in scored(((value, 0) for value in values), RUN))


def test_payments_of_the_run_count_and_neither_history_nor_others() -> None:
    others = (score(f"{RUN}hlat1"), score("00000003"), score("lat8-00000004"))
    assert list(numbers(score(f"{RUN}00000000"), *others, score(f"{RUN}00000012"))) == [0, 12]


def test_a_payment_scored_twice_counts_once_by_its_first_score() -> None:
    values = [(score(f"{RUN}00000001", 5), 10), (score(f"{RUN}00000001", 6), 20)]
    found = [
        (number, stored, record["scored_at"]) for number, stored, record in scored(values, RUN)
    ]
    assert found == [(1, 10, 5)]
