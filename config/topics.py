"""Topics as declared in `topics.yaml`, partitions as the settings override them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from config.errors import UserError
from config.settings import PREFIX, settings

# What a topic takes that declares nothing: the default of Kafka's own `message.max.bytes`.
BROKER_BYTES = 1_048_588
# Of every schema in ingestion/schema.
NAMESPACE = "millrace"
# Of a message: the batch's header, lengths, and the headers that a record may carry.
_ENVELOPE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    `schema` names ingestion/schema/<schema>.avsc, `key` the field whose text is the record key.

    `also` names the schemas of further records that share the topic, and with it one order.
    `time` names the field of event time that must not lie ahead of the log; None: not checked.
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
    also: tuple[str, ...] = ()
    time: str | None = None

    @property
    def records(self) -> tuple[str, ...]:
        """The schemas of all its records, the first one first."""
        return (self.schema, *self.also)

    @property
    def subject(self) -> str:
        """The registry subject of the first record (TopicNameStrategy)."""
        return f"{self.name}-value"

    def subject_of(self, record: str) -> str:
        """The registry subject of one of `records`.

        Further records have subjects of their own (Confluent's TopicRecordNameStrategy), so that
        each evolves by itself. Raises KeyError for a record that the topic does not hold.
        """
        if record not in self.records:
            raise KeyError(f"{self.name} holds no {record}")
        return self.subject if record == self.schema else f"{self.name}-{NAMESPACE}.{record}"

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
    """Return every topic by name, in the file's order.

    Raises UserError for `MILLRACE_PARTITIONS` that names no topic or no number.
    """
    declared = yaml.safe_load((Path(__file__).parent / "topics.yaml").read_text())
    override = partitions(settings().partitions, declared["topics"])
    return {
        name: _topic(name, {**declared["defaults"], **body, **override.get(name, {})})
        for name, body in declared["topics"].items()
    }


def _topic(name: str, body: dict[str, Any]) -> Topic:
    return Topic(name=name, **{**body, "also": tuple(body.get("also", ()))})


def partitions(text: str, known: Collection[str]) -> dict[str, dict[str, int]]:
    """Return what `topic=number,…` says, as `{topic: {"partitions": number}}`.

    Raises UserError for a topic that is not among `known`, and for what is no number above 0.
    """
    wanted = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        topic, _, number = (piece.strip() for piece in part.partition("="))
        if topic not in known:
            raise UserError(f"{PREFIX}PARTITIONS: no topic is called {topic!r}")
        if not number.isdecimal() or int(number) < 1:
            raise UserError(f"{PREFIX}PARTITIONS: {part!r} is not TOPIC=NUMBER")
        wanted[topic] = {"partitions": int(number)}
    return wanted


def largest_message() -> int:
    """Return the bytes of the largest message that any topic takes.

    A producer that lets less through is the bottleneck.
    """
    return max(topic.most_bytes for topic in topics().values())
