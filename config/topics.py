"""Load the topics that `topics.yaml` declares, with partitions overridden by the settings.

Each product outside this repository adds a file of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from config.errors import UserError
from config.files import mapping
from config.products import products
from config.settings import PREFIX, settings

FILE = Path(__file__).parent / "topics.yaml"

# The limit of a topic that declares none: the default of Kafka's own `message.max.bytes`.
BROKER_BYTES = 1_048_588
# The namespace of every schema in ingestion/schema.
NAMESPACE = "millrace"
# Overhead of a message: the batch's header, lengths, and the headers that a record may carry.
_ENVELOPE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    `schema` names ingestion/schema/<schema>.avsc, `key` the field whose text is the record key.

    `also` names the schemas of further records that share the topic, and with it one order.
    `time` names the field of event time that must not lie ahead of the log; None: not checked.
    `max_message_bytes`: the largest message it takes, as Kafka counts; None: whatever the broker
    takes. `compact`: Kafka keeps the newest record of each key for ever, and deletes nothing by
    age. `lake` names the field by whose day its records are kept in the lake; None: they are not.
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
    compact: bool = False
    lake: str | None = None

    @property
    def records(self) -> tuple[str, ...]:
        """Return the schemas of all its records, the first one first."""
        return (self.schema, *self.also)

    @property
    def subject(self) -> str:
        """Return the registry subject of the first record (TopicNameStrategy)."""
        return f"{self.name}-value"

    def subject_of(self, record: str) -> str:
        """Return the registry subject of one of `records`.

        Further records have subjects of their own (Confluent's TopicRecordNameStrategy), so that
        each evolves by itself. Raise KeyError for a record that the topic does not hold.
        """
        if record not in self.records:
            raise KeyError(f"{self.name} holds no {record}")
        return self.subject if record == self.schema else f"{self.name}-{NAMESPACE}.{record}"

    @property
    def most_bytes(self) -> int:
        """Return the bytes of the largest message it takes."""
        return self.max_message_bytes or BROKER_BYTES

    @property
    def room(self) -> int:
        """Return the bytes of key and value that are sure to fit into one message."""
        return self.most_bytes - _ENVELOPE_BYTES


def topics() -> dict[str, Topic]:
    """Return every topic by name, in the files' order, those of disabled groups included.

    Raise UserError for an invalid file, for a topic that two files declare, and for
    `MILLRACE_PARTITIONS` with an unknown topic or without a number.
    """
    outside = (one.folder / FILE.name for one in products() if one.outside)
    return _read((FILE, *outside), settings().partitions)


@lru_cache(maxsize=8)
def _read(files: tuple[Path, ...], overrides: str) -> dict[str, Topic]:
    bodies: dict[str, dict[str, Any]] = {}
    owner: dict[str, Path] = {}
    common: dict[str, Any] = {}
    for file in files:
        declared = mapping(file)
        # A product outside need not repeat common values.
        common = common or declared["defaults"]
        for name, body in (declared.get("topics") or {}).items():
            if name in bodies:
                raise UserError(f"topic {name} is declared twice: in {owner[name]} and in {file}")
            bodies[name] = {**common, **(declared.get("defaults") or {}), **body}
            owner[name] = file
    override = partitions(overrides, bodies)
    return {
        name: _topic(owner[name], name, {**body, **override.get(name, {})})
        for name, body in bodies.items()
    }


def _topic(file: Path, name: str, body: dict[str, Any]) -> Topic:
    try:
        return Topic(name=name, **{**body, "also": tuple(body.get("also", ()))})
    except TypeError as error:
        raise UserError(f"{file}: topic {name}: {error}") from None


def partitions(text: str, known: Collection[str]) -> dict[str, dict[str, int]]:
    """Parse `topic=number,…` into `{topic: {"partitions": number}}`.

    Raise UserError for a topic that is not among `known`, and for anything but a number above 0.
    """
    wanted = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        topic, _, number = (piece.strip() for piece in part.partition("="))
        if topic not in known:
            raise UserError(f"{PREFIX}PARTITIONS: no topic is named {topic!r}")
        if not number.isdecimal() or int(number) < 1:
            raise UserError(f"{PREFIX}PARTITIONS: {part!r} is not TOPIC=NUMBER")
        wanted[topic] = {"partitions": int(number)}
    return wanted


def largest_message() -> int:
    """Return the bytes of the largest message that any topic takes.

    A producer that allows less is the bottleneck.
    """
    return max(topic.most_bytes for topic in topics().values())
