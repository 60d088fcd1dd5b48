"""Read how far Kafka's topics have come."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from ingestion.kafka.offsets import Place, offsets
from ingestion.kafka.producer import client_log

TIMEOUT_S = 2.0


class Offsets:
    """The ends of topics. Blocks: call `read` outside the event loop, one call at a time."""

    def __init__(self, bootstrap: str, topics: Iterable[str]) -> None:
        self._bootstrap, self._topics = bootstrap, frozenset(topics)
        self._client: AdminClient | None = None
        self._places: list[Place] = []

    def read(self) -> dict[str, int]:
        """Return by topic the sum of its partitions' ends. Raise KafkaException."""
        if self._client is None:
            self._client = AdminClient(
                {"bootstrap.servers": self._bootstrap, "reconnect.backoff.max.ms": 1000},
                logger=client_log,
            )
        if not self._places:
            self._places = self._found(self._client)
        ends: dict[str, int] = {}
        try:
            found = offsets(self._client, self._places, OffsetSpec.latest(), TIMEOUT_S)
            for (topic, _), end in found.items():
                ends[topic] = ends.get(topic, 0) + end
        except (KafkaException, TimeoutError):
            self._places = []  # partitions may have come or gone
            raise
        return ends

    def _found(self, client: AdminClient) -> list[Place]:
        known = client.list_topics(timeout=TIMEOUT_S).topics
        return [
            (name, partition)
            for name in sorted(self._topics & known.keys())
            for partition in known[name].partitions
        ]
