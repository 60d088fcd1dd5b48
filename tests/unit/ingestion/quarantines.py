"""A registry and an outbox made of dictionaries, and entries as jobs put them aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from config.errors import RetryableError
from ingestion.kafka.quarantine import Quarantine
from ingestion.kafka.quarantine_replay import Failure, Outgoing
from ingestion.wire.codec import Codec
from ingestion.wire.registry import UnknownSchemaError

PAYMENT = {
    "transaction_id": "t1",
    "event_time": 1,
    "customer_id": "c",
    "terminal_id": "t",
    "amount": 2.5,
}


class DictRegistry:
    """Ids in order of registration; `lost` ones are unknown."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.lost: set[int] = set()
        self.away = False

    def register(self, subject: str, text: str) -> int:
        if text not in self.schemas:
            self.schemas.append(text)
        return self.schemas.index(text)

    def schema(self, schema_id: int) -> str:
        if self.away:
            raise RetryableError("registry away")
        if schema_id >= len(self.schemas) or schema_id in self.lost:
            raise UnknownSchemaError(str(schema_id))
        return self.schemas[schema_id]


def codec_on(registry: DictRegistry) -> Codec:
    made = Codec(registry)  # type: ignore[arg-type]
    made.encoder("transactions")
    made.encoder("quarantine")
    return made


class ListOutbox:
    """Keeps what it took. `away`: the deliveries, counted from 0, whose records are all lost.

    What has more than `largest` bytes is never taken.
    """

    def __init__(self, away: Sequence[int] = (), largest: int = 1_000_000) -> None:
        self.sent: list[Outgoing] = []
        self._away, self._largest, self._deliveries = set(away), largest, 0

    def deliver(self, records: Sequence[Outgoing]) -> list[Failure | None]:
        away = self._deliveries in self._away
        self._deliveries += 1
        return [
            Failure("broker gone", final=False) if away else self._take(record)
            for record in records
        ]

    def _take(self, record: Outgoing) -> Failure | None:
        if len(record.value or b"") > self._largest:
            return Failure("Broker: Message size too large", final=True)
        self.sent.append(record)
        return None

    def topic(self, name: str) -> list[Outgoing]:
        return [record for record in self.sent if record.topic == name]


def put_aside(offset: int, value: bytes | None, **fields: Any) -> dict[str, Any]:
    return {
        "source_topic": "transactions",
        "source_partition": 0,
        "source_offset": offset,
        "source_time": 1_700_000_000_000,
        "key": b"c",
        "value": value,
        "reason": "unknown_schema",
        "detail": "schema id 7",
        "job": "fraud_features",
        "quarantined_at": 1_700_000_000_500,
        "replayed": False,
        **fields,
    }


def folded(*records: dict[str, Any]) -> Quarantine:
    made = Quarantine()
    for record in records:
        made.add(record)
    return made


def now() -> int:
    return 1_800_000_000_000
