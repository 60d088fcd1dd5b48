"""Make cluster and registry agree with config/topics.yaml, and say what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from config.errors import RetryableError, UserError
from config.topics import Topic
from ingestion import schema
from ingestion.registry import FULL_TRANSITIVE, Registry

_TIMEOUT = 15.0
_RETENTION = "retention.ms"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs from the declaration. `before` is None for what did not exist."""

    topic: str
    what: str
    before: str | None
    after: str

    def as_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """What the cluster has of a topic."""

    partitions: int
    replication: int
    retention_ms: int


def admin(bootstrap: str) -> AdminClient:
    """An admin client that gives up after 15 s."""
    return AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 10_000})


class TopicsAdmin:
    """Compares declared topics with the cluster and the registry. `apply` is idempotent."""

    def __init__(self, client: AdminClient, registry: Registry) -> None:
        self._client, self._registry = client, registry

    def found(self, declared: Iterable[Topic]) -> dict[str, Found]:
        """The declared topics that exist, by name. Raises RetryableError where Kafka is away."""
        try:
            metadata = self._client.list_topics(timeout=_TIMEOUT).topics
        except KafkaException as error:
            raise RetryableError(f"Kafka does not answer: {error.args[0].str()}") from error
        names = [topic.name for topic in declared if topic.name in metadata]
        retention = self._retention(names)
        return {
            name: Found(
                partitions=len(metadata[name].partitions),
                replication=max((len(part.replicas) for part in metadata[name].partitions.values()), default=0),
                retention_ms=retention[name],
            )
            for name in names
        }

    def differences(self, declared: Mapping[str, Topic]) -> list[Change]:
        """What `apply` would do, in its order. Raises UserError for what it would refuse."""
        found = self.found(declared.values())
        changes = [change for topic in declared.values() for change in _topic_changes(topic, found.get(topic.name))]
        for topic in declared.values():
            changes += self._subject_changes(topic)
        return changes

    def apply(self, declared: Mapping[str, Topic]) -> list[Change]:
        """Make it so; returns what was changed (nothing at the second call).

        Raises UserError, before anything is changed, for fewer partitions, another replication factor or an
        incompatible schema; RetryableError where Kafka or the registry is away.
        """
        changes = self.differences(declared)
        for change in changes:
            self._make(declared[change.topic], change)
        return changes

    def _make(self, topic: Topic, change: Change) -> None:
        match change.what:
            case "topic":
                config = {_RETENTION: str(_retention_ms(topic))}
                new = NewTopic(topic.name, topic.partitions, topic.replication, config=config)
                self._wait(self._client.create_topics([new], operation_timeout=_TIMEOUT))
            case "partitions":
                self._wait(self._client.create_partitions([NewPartitions(topic.name, topic.partitions)]))
            case "retention_ms":
                resource = ConfigResource(ResourceType.TOPIC, topic.name)
                resource.add_incremental_config(
                    ConfigEntry(_RETENTION, change.after, incremental_operation=AlterConfigOpType.SET)
                )
                self._wait(self._client.incremental_alter_configs([resource]))
            case "schema":
                self._registry.register(topic.subject, schema.text(topic.schema))
            case "compatibility":
                self._registry.set_compatibility(topic.subject, change.after)
            case _:
                raise NotImplementedError(change.what)

    def _subject_changes(self, topic: Topic) -> list[Change]:
        text = schema.text(topic.schema)
        level = self._registry.compatibility(topic.subject)
        compatibility = []
        if level != FULL_TRANSITIVE:
            compatibility = [Change(topic.name, "compatibility", level, FULL_TRANSITIVE)]
        versions = self._registry.versions(topic.subject)
        if self._registry.look_up(topic.subject, text) is not None:
            return compatibility
        refusal = self._registry.check(topic.subject, text) if level == FULL_TRANSITIVE else None
        if refusal:
            raise UserError(f"{topic.schema}.avsc does not fit what {topic.subject} holds: {refusal}")
        register = [Change(topic.name, "schema", str(len(versions)) if versions else None, topic.schema)]
        # The rule comes first where there is something to hold the new schema against.
        return compatibility + register if versions else register + compatibility

    def _retention(self, names: list[str]) -> dict[str, int]:
        if not names:
            return {}
        asked = self._client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
        return {resource.name: int(future.result(_TIMEOUT)[_RETENTION].value) for resource, future in asked.items()}

    @staticmethod
    def _wait(futures: Mapping[object, object]) -> None:
        for future in futures.values():
            try:
                future.result(_TIMEOUT)  # type: ignore[attr-defined]
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise UserError(f"Kafka refused: {error.args[0].str()}") from error


def _retention_ms(topic: Topic) -> int:
    return topic.retention_hours * 3_600_000


def _topic_changes(topic: Topic, found: Found | None) -> list[Change]:
    if found is None:
        return [Change(topic.name, "topic", None, f"{topic.partitions} partitions")]
    if topic.partitions < found.partitions:
        raise UserError(
            f"{topic.name} has {found.partitions} partitions, {topic.partitions} are declared: Kafka cannot take "
            "partitions away (and keys would move); make a new topic"
        )
    if topic.replication != found.replication:
        raise UserError(
            f"{topic.name} has replication {found.replication}, {topic.replication} is declared: "
            "moving replicas is kafka-reassign-partitions' work"
        )
    changes = []
    if topic.partitions > found.partitions:
        changes.append(Change(topic.name, "partitions", str(found.partitions), str(topic.partitions)))
    if _retention_ms(topic) != found.retention_ms:
        changes.append(Change(topic.name, "retention_ms", str(found.retention_ms), str(_retention_ms(topic))))
    return changes
