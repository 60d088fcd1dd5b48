"""Topics as declared in `topics.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

# What a topic takes that declares nothing: the default of Kafka's own `message.max.bytes`.
BROKER_BYTES = 1_048_588
# Of a message: the batch's header, lengths, and the headers that a record may carry.
_ENVELOPE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    `schema` names ingestion/schema/<schema>.avsc, `key` the field whose text is the record key.

    `max_message_bytes`: the largest message it takes, as Kafka counts; None: whatever the broker
    takes.
    """

    name: str
    key: str
    schema: str
    partitions: int
    replication: int
    retention_hours: int
    max_message_bytes: int | None = None

    @property
    def subject(self) -> str:
        """The registry subject of the value (TopicNameStrategy)."""
        return f"{self.name}-value"

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest message it takes."""
        return self.max_message_bytes or BROKER_BYTES

    @property
    def room(self) -> int:
        """Bytes of key and value that are sure to fit into one message."""
        return self.most_bytes - _ENVELOPE_BYTES


@lru_cache(maxsize=1)
def topics() -> dict[str, Topic]:
    """Every topic by name, in the file's order."""
    declared = yaml.safe_load((Path(__file__).parent / "topics.yaml").read_text())
    return {
        name: Topic(name=name, **{**declared["defaults"], **body})
        for name, body in declared["topics"].items()
    }


def largest_message() -> int:
    """Bytes of the largest message that any topic takes.

    A producer that lets less through is the bottleneck.
    """
    return max(topic.most_bytes for topic in topics().values())
