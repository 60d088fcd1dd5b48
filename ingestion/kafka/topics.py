"""Make cluster and registry match config/topics.yaml, and report the differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicMetadata,
)

from config.errors import RetryableError, UserError
from config.topics import Topic
from ingestion import schema
from ingestion.kafka.producer import client_log
from ingestion.wire.registry import FULL_TRANSITIVE, Registry

_TIMEOUT = 15.0
_LOOK = 3.0
# What a topic declares, and Kafka's names for it.
_CONFIGS = {
    "retention_ms": "retention.ms",
    "max_message_bytes": "max.message.bytes",
    "cleanup_policy": "cleanup.policy",
}
_TEXTS = {"cleanup_policy"}
_AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        KafkaError.REQUEST_TIMED_OUT,
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference from the declaration.

    `before` is None for what did not exist; `record` is the one whose subject differs.
    """

    topic: str
    what: str
    before: str | None
    after: str
    record: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the change as JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """The state of a topic in the cluster.

    `max_message_bytes` and `cleanup_policy` are None if none is declared, as they are then not
    queried.
    """

    partitions: int
    replication: int
    retention_ms: int
    max_message_bytes: int | None = None
    cleanup_policy: str | None = None


def admin(bootstrap: str) -> AdminClient:
    """Return an admin client that gives up after 15 s."""
    config = {"bootstrap.servers": bootstrap, "socket.timeout.ms": 10_000}
    return AdminClient(config, logger=client_log)


def absent(client: AdminClient, declared: Iterable[str]) -> list[str]:
    """Return which of the declared topics do not exist. Raise RetryableError if Kafka is away."""
    found = _existing(client, _LOOK)
    return [name for name in declared if name not in found]


def _existing(client: AdminClient, timeout: float) -> Mapping[str, TopicMetadata]:
    try:
        found: Mapping[str, TopicMetadata] = client.list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise RetryableError(f"Kafka does not answer: {error.args[0].str()}") from error
    return found


class TopicsAdmin:
    """Compare declared topics with the cluster and the registry. `apply` is idempotent."""

    def __init__(self, client: AdminClient, registry: Registry) -> None:
        self._client, self._registry = client, registry

    def found(self, declared: Iterable[Topic]) -> dict[str, Found]:
        """Return the declared topics that exist, by name.

        Raise RetryableError if Kafka is away, UserError if it refuses.
        """
        metadata = _existing(self._client, _TIMEOUT)
        existing = [topic for topic in declared if topic.name in metadata]
        configs = self._configs(existing)
        return {
            topic.name: Found(
                partitions=len(metadata[topic.name].partitions),
                replication=max(
                    (len(part.replicas) for part in metadata[topic.name].partitions.values()),
                    default=0,
                ),
                **configs[topic.name],
            )
            for topic in existing
        }

    def differences(self, declared: Mapping[str, Topic]) -> list[Change]:
        """Return the changes `apply` would make, in order. Raise UserError as `apply` does."""
        found = self.found(declared.values())
        changes = [
            change
            for topic in declared.values()
            for change in _topic_changes(topic, found.get(topic.name))
        ]
        for topic in declared.values():
            for record in topic.records:
                changes += self._subject_changes(topic, record, found.get(topic.name))
        return changes

    def apply(self, declared: Mapping[str, Topic]) -> list[Change]:
        """Make the changes and return them; a second call makes none.

        Raise UserError, before anything is changed, for fewer partitions, another replication
        factor or an incompatible schema (but for a topic that never had a record, whose contract is
        replaced); RetryableError if Kafka or the registry is away.
        """
        changes = self.differences(declared)
        for change in changes:
            self._make(declared[change.topic], change)
        return changes

    def _make(self, topic: Topic, change: Change) -> None:
        match change.what:
            case "topic":
                config = {
                    _CONFIGS[name]: str(value) for name, value in _declared_configs(topic).items()
                }
                new = NewTopic(topic.name, topic.partitions, topic.replication, config=config)
                self._wait(self._client.create_topics([new], operation_timeout=_TIMEOUT))
            case "partitions":
                self._wait(
                    self._client.create_partitions([NewPartitions(topic.name, topic.partitions)])
                )
            case name if name in _CONFIGS:
                resource = ConfigResource(ResourceType.TOPIC, topic.name)
                resource.add_incremental_config(
                    ConfigEntry(
                        _CONFIGS[name], change.after, incremental_operation=AlterConfigOpType.SET
                    )
                )
                self._wait(self._client.incremental_alter_configs([resource]))
            case "schema":
                subject = topic.subject_of(change.after)
                self._registry.register(subject, schema.text(change.after))
            case "contract":
                self._registry.delete(topic.subject_of(change.after))
            case "compatibility":
                subject = topic.subject_of(change.record or topic.schema)
                self._registry.set_compatibility(subject, change.after)
            case _:
                raise NotImplementedError(change.what)

    def _subject_changes(self, topic: Topic, record: str, found: Found | None) -> list[Change]:
        text, subject = schema.text(record), topic.subject_of(record)
        level = self._registry.compatibility(subject)
        compatibility = []
        if level != FULL_TRANSITIVE:
            compatibility = [Change(topic.name, "compatibility", level, FULL_TRANSITIVE, record)]
        versions = self._registry.versions(subject)
        if self._registry.look_up(subject, text) is not None:
            return compatibility
        refusal = self._registry.check(subject, text) if level == FULL_TRANSITIVE else None
        before = str(len(versions)) if versions else None
        register = [Change(topic.name, "schema", before, record, record)]
        if refusal and not self._virgin(topic, found):
            raise UserError(f"{record}.avsc does not fit what {subject} holds: {refusal}")
        if refusal:
            again = Change(topic.name, "compatibility", None, FULL_TRANSITIVE, record)
            return [Change(topic.name, "contract", before, record, record), *register, again]
        # Set the rule first, if there is an older schema to check the new one against.
        return compatibility + register if versions else register + compatibility

    def _virgin(self, topic: Topic, found: Found | None) -> bool:
        """Return whether the topic never had a record that a reader could still meet."""
        if found is None:
            return True
        places = [TopicPartition(topic.name, number) for number in range(found.partitions)]
        asked = self._client.list_offsets({place: OffsetSpec.latest() for place in places})
        return all(result(future).offset == 0 for future in asked.values())

    def _configs(self, existing: list[Topic]) -> dict[str, dict[str, Any]]:
        """Return the declared values of each topic."""
        if not existing:
            return {}
        asked = self._client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, topic.name) for topic in existing]
        )
        answers = {resource.name: result(future) for resource, future in asked.items()}
        return {
            topic.name: {
                name: _value(name, answers[topic.name][_CONFIGS[name]].value)
                for name in _declared_configs(topic)
            }
            for topic in existing
        }

    @staticmethod
    def _wait(futures: Mapping[Any, Future[Any]]) -> None:
        for future in futures.values():
            result(future, fine=KafkaError.TOPIC_ALREADY_EXISTS)


def result(future: Future[Any], fine: int | None = None) -> Any:
    """Return the brokers' answer; an error with the code `fine` counts as none.

    Raise RetryableError if there is none, UserError if they refuse.
    """
    try:
        return future.result(_TIMEOUT)
    except TimeoutError as error:
        raise RetryableError(f"Kafka does not answer within {_TIMEOUT:g} s") from error
    except KafkaException as error:
        code, told = error.args[0].code(), error.args[0].str()
        if code in _AWAY:
            raise RetryableError(f"Kafka does not answer: {told}") from error
        if code != fine:
            raise UserError(f"Kafka refused: {told}") from error
        return None


def _value(name: str, text: str) -> int | str:
    return text if name in _TEXTS else int(text)


def _declared_configs(topic: Topic) -> dict[str, int | str]:
    configs: dict[str, int | str] = {"retention_ms": topic.retention_hours * 3_600_000}
    if topic.max_message_bytes is not None:
        configs["max_message_bytes"] = topic.max_message_bytes
    if topic.compact:
        configs["cleanup_policy"] = "compact"
    return configs


def _topic_changes(topic: Topic, found: Found | None) -> list[Change]:
    if found is None:
        return [Change(topic.name, "topic", None, f"{topic.partitions} partitions")]
    if topic.partitions < found.partitions:
        raise UserError(
            f"{topic.name} has {found.partitions} partitions, {topic.partitions} declared: "
            "Kafka cannot take partitions away (and keys would move); make a new topic"
        )
    if topic.replication != found.replication:
        raise UserError(
            f"{topic.name} has replication {found.replication}, {topic.replication} is declared: "
            "moving replicas is kafka-reassign-partitions' work"
        )
    changes = []
    if topic.partitions > found.partitions:
        changes.append(
            Change(topic.name, "partitions", str(found.partitions), str(topic.partitions))
        )
    for name, value in _declared_configs(topic).items():
        if (before := getattr(found, name)) != value:
            changes.append(Change(topic.name, name, str(before), str(value)))
    return changes
