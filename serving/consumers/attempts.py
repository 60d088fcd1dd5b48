"""Count how many runs of a consumer ended at the same records.

The count is kept as the metadata that Kafka stores with a committed offset: it outlives the process
and its disk, and moves with the partition. A later commit of the partition removes it, so it stands
only while the records it was written before have not been passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import structlog
from confluent_kafka import Message, TopicPartition

from serving.consumers.ledger import Place

log = structlog.get_logger(__name__)
LIVES = 3


class Attempts:
    """Remember which records broke the product, in earlier runs and in this one."""

    def __init__(self) -> None:
        self._before: dict[Place, tuple[int, int, int]] = {}  # first offset, last offset, runs
        self.noted: dict[Place, str] = {}
        """Metadata to commit by place when this life ends."""

    def load(self, committed: Iterable[TopicPartition]) -> None:
        """Load what earlier runs left with the committed offsets of assigned partitions."""
        for one in committed:
            found = _parsed(one.metadata)
            if found is None:
                self._before.pop((one.topic, one.partition), None)
            else:
                self._before[one.topic, one.partition] = found

    def exhausted(self, broken: Sequence[Message]) -> bool:
        """Return whether these records have now broken the product in three runs; note them if not.

        Batches end at other records in another run, so it is enough that the offsets overlap.
        """
        spans = _spans(broken)
        lives = 1 + max((self._lives(place, span) for place, span in spans.items()), default=0)
        if lives >= LIVES:
            log.error("records broke the product in several runs", lives=lives, places=str(spans))
            self.noted.clear()
            return True
        self.noted = {
            place: json.dumps({"broke": [first, last], "lives": lives})
            for place, (first, last) in spans.items()
        }
        return False

    def _lives(self, place: Place, span: tuple[int, int]) -> int:
        first, last, lives = self._before.get(place, (0, -1, 0))
        return lives if first <= span[1] and span[0] <= last else 0


def _spans(messages: Iterable[Message]) -> Mapping[Place, tuple[int, int]]:
    spans: dict[Place, tuple[int, int]] = {}
    for message in messages:
        place, offset = (message.topic(), message.partition()), message.offset()
        first, last = spans.get(place, (offset, offset))
        spans[place] = min(first, offset), max(last, offset)
    return spans


def _parsed(metadata: str | None) -> tuple[int, int, int] | None:
    try:
        found = json.loads(metadata or "null")
        return int(found["broke"][0]), int(found["broke"][1]), int(found["lives"])
    except (ValueError, TypeError, KeyError, IndexError):
        return None
