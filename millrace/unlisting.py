"""Take a customer off the lists of blocked and trusted entities, in Kafka itself."""

from __future__ import annotations

from contextlib import closing

from config.settings import Settings
from domain.fraud.lists import LISTS, entry_id
from ingestion.kafka.producer import KafkaSink
from ingestion.kafka.tail import BEGINNING, Start, Tail, reader
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry

TOPIC = "fraud-lists"
_PATIENCE_S = 30.0


def unlisted(settings: Settings, customer: str) -> int:
    """Remove the customer's entries; return how many there were.

    The entry itself goes when Kafka compacts the topic. Raise RetryableError if Kafka is away.
    """
    wanted = {entry_id(name, "customer", customer).encode() for name in LISTS}
    standing: set[bytes] = set()
    with (
        closing(reader(settings.kafka_bootstrap)) as consumer,
        Registry(settings.registry_url, attempts=1) as registry,
    ):
        tail = Tail(consumer, Codec(registry), TOPIC, Start(BEGINNING))
        for line in tail.lines(follow=False):
            if line.key in wanted:
                (standing.discard if line.reason == "empty" else standing.add)(line.key)
    if standing:
        with KafkaSink(settings.kafka_bootstrap, client_id="millrace-forget") as sink:
            for key in sorted(standing):
                sink.send(TOPIC, key, None)
            sink.flush(_PATIENCE_S)
    return len(standing)
