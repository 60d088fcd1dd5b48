"""Look at Kafka: the logs' ends, how far each group is behind, and whether replicas are lacking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError
from confluent_kafka.admin import AdminClient, OffsetSpec
from prometheus_client.metrics_core import Metric

from config.instruments import family
from ingestion.kafka.offsets import Place, offsets

TIMEOUT_S = 10.0
INTERNAL = "__"
PREFIX = "millrace-"


class Kafka:
    """Kafka as an administrator sees it. `jobs` are names of Flink's jobs.

    A job commits its offsets with its checkpoints only, so its lag is one of checkpoints: it has
    another `kind` than a consumer's.
    """

    def __init__(self, admin: AdminClient, jobs: Sequence[str]) -> None:
        self._admin = admin
        self._jobs = tuple(f"{PREFIX}{job}" for job in jobs)  # or longer, with several sources

    def look(self) -> Sequence[Metric]:
        """Return the metrics. Raise KafkaException if the brokers do not answer in time."""
        cluster = self._admin.list_topics(timeout=TIMEOUT_S)
        partitions = {
            (topic.topic, number): one
            for topic in cluster.topics.values()
            for number, one in topic.partitions.items()
            if not topic.topic.startswith(INTERNAL)
        }
        ends = offsets(self._admin, partitions, OffsetSpec.latest(), TIMEOUT_S)
        starts = offsets(self._admin, partitions, OffsetSpec.earliest(), TIMEOUT_S)
        groups = self._committed()
        lacking = sum(len(one.isrs) < len(one.replicas) for one in partitions.values())
        return [
            family("millrace_kafka_brokers", len(cluster.brokers)),
            family("millrace_kafka_underreplicated_partitions", lacking),
            family("millrace_kafka_topic_end_offset", _by_partition(ends)),
            family("millrace_kafka_topic_start_offset", _by_partition(starts)),
            family(
                "millrace_kafka_group_lag_records",
                {
                    (group, self._kind(group), topic, str(number)): max(
                        0, ends[topic, number] - max(offset, starts[topic, number])
                    )
                    for group, committed in groups.items()
                    for (topic, number), offset in committed.items()
                    if (topic, number) in ends
                },
            ),
        ]

    def _kind(self, group: str) -> str:
        return "job" if group.startswith(self._jobs) else "consumer"

    def _committed(self) -> dict[str, dict[Place, int]]:
        """Return what our groups have committed."""
        listed = self._admin.list_consumer_groups(request_timeout=TIMEOUT_S).result()
        names = [one.group_id for one in listed.valid if one.group_id.startswith(PREFIX)]
        found: dict[str, dict[Place, int]] = {}
        for name in names:  # the client takes one group a request
            asked = [ConsumerGroupTopicPartitions(name)]
            future = self._admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)[name]
            found[name] = {
                (one.topic, one.partition): one.offset
                for one in future.result().topic_partitions
                if one.error is None or one.error.code() == KafkaError.NO_ERROR
                if one.offset >= 0
            }
        return found


def _by_partition(found: Mapping[Place, int]) -> dict[tuple[str, ...], float]:
    return {(topic, str(number)): offset for (topic, number), offset in found.items()}
