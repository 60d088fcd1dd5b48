"""What a challenger said, and the verdicts on it, as they are read from Kafka."""

from __future__ import annotations

from typing import Any

from config.settings import Settings
from millrace.shadowed import from_topics


def test_from_topics_the_newest_verdict_counts_and_old_records_are_left_out() -> None:
    asked: list[int | None] = []
    topics: dict[tuple[str, str], list[dict[str, Any]]] = {
        ("fraud-shadow-scores", "FraudShadowScore"): [
            {"transaction_id": "a"},
            {"transaction_id": "b"},
        ],
        ("transactions", "FraudLabel"): [
            {"transaction_id": "a", "event_time": 5, "is_fraud": True},
            {"transaction_id": "b", "event_time": 6, "is_fraud": False},
            {"transaction_id": "a", "event_time": 4, "is_fraud": False},
            {"transaction_id": "b", "event_time": 6, "is_fraud": True},
            {"transaction_id": "elsewhere", "event_time": 6, "is_fraud": True},
        ],
    }

    def read(topic: str, schema: str, since: int | None) -> Any:
        asked.append(since)
        return iter(topics[topic, schema])

    settings = Settings(event_ahead_ms=1000)
    records, verdicts = from_topics(settings, 5000, read)
    assert [one["transaction_id"] for one in records] == ["a", "b"]
    assert verdicts == {"a": True, "b": True}
    assert asked == [4000, 4000]
    from_topics(settings, None, read)
    assert asked[2:] == [None, None]
