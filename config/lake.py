"""Name the lake's tables of what arrived: one for each record of the topics that join it.

Flink's job and PyIceberg's side both follow from this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from config.topics import Topic

CATALOG = "lake"
BRONZE, SILVER, GOLD = "bronze", "silver", "gold"
TOPIC, PARTITION, OFFSET, INGESTED = "_topic", "_partition", "_offset", "_ingested_at"

# The option by which the job learns where to go on (lakehouse/start.py).
START = "millrace.lake.start"


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table of bronze: the records of one type of a topic, by the day of the field `time`."""

    name: str
    topic: str
    record: str
    time: str

    @property
    def identifier(self) -> tuple[str, str]:
        """Return namespace and name, as a catalog takes them."""
        return BRONZE, self.name

    def __str__(self) -> str:
        return f"{BRONZE}.{self.name}"


def lake_tables(topics: Iterable[Topic]) -> tuple[LakeTable, ...]:
    """Return the tables of the topics that join the lake.

    The first record of a topic has the topic's name; further ones have their own, in the plural:
    `FraudLabel` is in `fraud_labels`.
    """
    return tuple(
        LakeTable(_name(topic, record), topic.name, record, topic.lake)
        for topic in topics
        if topic.lake is not None
        for record in topic.records
    )


def _name(topic: Topic, record: str) -> str:
    if record == topic.schema:
        return topic.name.replace("-", "_")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", record).lower() + "s"
