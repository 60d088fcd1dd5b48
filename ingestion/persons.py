"""Say which topics name a person."""

from __future__ import annotations

from collections.abc import Mapping

from config.topics import Topic
from ingestion import schema as contracts

COLUMN = "customer_id"
SHORT = 4
"""Bytes of an id below which it could stand in a record by chance."""


def topics_of(every: Mapping[str, Topic]) -> list[Topic]:
    """Return the topics whose records name a customer."""
    return [
        topic
        for topic in every.values()
        if any(
            COLUMN in {field["name"] for field in contracts.load(record)["fields"]}
            for record in topic.records
        )
    ]
