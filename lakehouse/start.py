"""Say where the lake's job goes on, before each of its submissions.

The job does not resume from Flink's checkpoints: its place is in its tables. A restart from an old
savepoint, or after the snapshot was expired that a checkpoint counts on, can then neither double a
row nor lose one (docs/decisions/0017).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import KafkaException, TopicPartition
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from config.errors import RetryableError, UserError
from config.lake import START, lake_tables
from config.settings import Settings
from config.topics import topics
from ingestion import schema as contracts
from ingestion.kafka.tail import reader
from lakehouse.catalog import catalog
from lakehouse.positions import Offsets, next_offsets, written
from lakehouse.tables import apply

_TIMEOUT_S = 15.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Range:
    """The offsets of a partition that Kafka has: from `first` up to before `end`."""

    first: int
    end: int


def options(settings: Settings) -> dict[str, str]:
    """Make the tables what the contracts say, and return the job's options for Flink.

    Raise UserError if a topic is not the one that its tables were filled from, RetryableError if
    Kafka is away.
    """
    # The job's client reads them as they are now, and this may be the keeper, days old.
    contracts.reread()
    lake = catalog(settings)
    for change in apply(lake, lake_tables(topics().values())):
        log.info("lake", table=change.table, change=change.what)
    loaded = by_topic(lake)
    kept = ranges(settings, list(loaded))
    offsets: dict[str, Offsets] = {}
    every: dict[str, Offsets] = {}
    for topic, tables in loaded.items():
        held = {name: written(table) for name, table in tables.items()}
        offsets[topic] = start(topic, next_offsets(tables, held), kept[topic])
        every |= held
    return {START: json.dumps({"offsets": offsets, "written": every})}


def by_topic(lake: Catalog) -> dict[str, dict[str, Table]]:
    """Return the tables of bronze as they are now, by topic and name."""
    found: dict[str, dict[str, Table]] = {}
    for one in lake_tables(topics().values()):
        found.setdefault(one.topic, {})[one.name] = lake.load_table(one.identifier)
    return found


def start(topic: str, wanted: Mapping[int, int], kept: Mapping[int, Range]) -> Offsets:
    """Return the first offset to read of each partition.

    Raise UserError if the tables are ahead of the topic.
    """
    for partition, offset in wanted.items():
        have = kept.get(partition, Range(0, 0))
        if offset > have.end:
            raise UserError(
                f"the lake holds {topic}/{partition} up to {offset - 1}, but the topic ends before "
                f"{have.end}: it is not the one that the lake was filled from"
            )
        if offset < have.first:
            log.error(
                "records are gone from Kafka that the lake does not have",
                topic=topic,
                partition=partition,
                first=offset,
                last=have.first - 1,
            )
    return {
        partition: max(wanted.get(partition, have.first), have.first)
        for partition, have in kept.items()
    }


def ranges(settings: Settings, names: Sequence[str]) -> dict[str, dict[int, Range]]:
    """Return which offsets Kafka has of each partition of the topics.

    Raise RetryableError if Kafka is away, UserError if a topic does not exist.
    """
    consumer = reader(settings.kafka_bootstrap)
    try:
        known = consumer.list_topics(timeout=_TIMEOUT_S).topics
        if absent := [name for name in names if name not in known]:
            raise UserError(f"no such topics: {', '.join(absent)}: type `millrace topics apply`")
        return {
            name: {
                partition: Range(
                    *consumer.get_watermark_offsets(
                        TopicPartition(name, partition), timeout=_TIMEOUT_S
                    )
                )
                for partition in sorted(known[name].partitions)
            }
            for name in names
        }
    except KafkaException as error:
        raise RetryableError(f"Kafka does not answer: {error.args[0].str()}") from error
    finally:
        consumer.close()
