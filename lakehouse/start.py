"""Say where the lake's job goes on, before each of its submissions.

The job does not resume from Flink's checkpoints: its place is in its tables. A restart from an old
savepoint, or after the snapshot was expired that a checkpoint counts on, can then neither double a
row nor lose one (docs/decisions/0017).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from config.errors import RetryableError, UserError
from config.lake import START, lake_tables
from config.settings import Settings
from config.topics import topics
from ingestion.kafka.producer import client_log
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
    declared, lake = lake_tables(topics().values()), catalog(settings)
    for change in apply(lake, declared):
        log.info("lake", table=change.table, change=change.what)
    by_topic = {name: list(group) for name, group in groupby(declared, lambda one: one.topic)}
    kept = ranges(settings, list(by_topic))
    offsets: dict[str, Offsets] = {}
    held: dict[str, Offsets] = {}
    for topic, tables in by_topic.items():
        loaded = {table.name: lake.load_table(table.identifier) for table in tables}
        offsets[topic] = start(topic, next_offsets(loaded), kept[topic])
        held |= {name: written(table) for name, table in loaded.items()}
    return {START: json.dumps({"offsets": offsets, "written": held})}


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
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "millrace-lake-look"},
        logger=client_log,
    )
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
