"""Ask the brokers for offsets of partitions, as an administrator."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

Place = tuple[str, int]
"""A topic and a partition."""


def offsets(
    client: AdminClient, places: Iterable[Place], spec: OffsetSpec, timeout_s: float
) -> dict[Place, int]:
    """Return the offset that `spec` names in each partition.

    Raise KafkaException or TimeoutError if the brokers do not answer in time.
    """
    asked = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    found = client.list_offsets(asked, request_timeout=timeout_s)
    return {
        (place.topic, place.partition): future.result(timeout_s).offset
        for place, future in found.items()
    }
