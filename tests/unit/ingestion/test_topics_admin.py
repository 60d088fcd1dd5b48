"""Topics against an admin client made of dictionaries.

tests/integration/test_ingestion.py has a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic

from config.errors import RetryableError, UserError
from config.topics import Topic, largest_message, partitions, topics
from ingestion.kafka import topics as topics_admin
from ingestion.kafka.topics import TopicsAdmin
from tests.unit.ingestion.registries import FakeRegistry

QUARANTINE = Topic(
    "quarantine", "source_topic", "Quarantined", 1, 1, 720, max_message_bytes=4_000_000
)
PLAIN = Topic("alerts", "entity", "Alert", 1, 1, 168)


@dataclass
class Existing:
    partitions: int
    config: dict[str, str]
    end: int = 0


class FakeAdmin:
    """A cluster. `answer` makes a future of each result: a test may make it fail or never come."""

    def __init__(self) -> None:
        self.topics: dict[str, Existing] = {}
        self.answer: Callable[[Any], Future[Any]] = done

    def list_topics(self, timeout: float) -> Any:
        part = SimpleNamespace(replicas=[1])
        return SimpleNamespace(
            topics={
                name: SimpleNamespace(partitions=dict.fromkeys(range(found.partitions), part))
                for name, found in self.topics.items()
            }
        )

    def create_topics(
        self, new: list[NewTopic], operation_timeout: float
    ) -> dict[str, Future[Any]]:
        defaults = {
            "retention.ms": "604800000",
            "max.message.bytes": "1048588",
            "cleanup.policy": "delete",
        }
        for one in new:
            self.topics[one.topic] = Existing(one.num_partitions, {**defaults, **one.config})
        return {one.topic: self.answer(None) for one in new}

    def create_partitions(self, new: list[NewPartitions]) -> dict[str, Future[Any]]:
        for one in new:
            self.topics[one.topic].partitions = one.new_total_count
        return {one.topic: self.answer(None) for one in new}

    def list_offsets(self, asked: dict[TopicPartition, Any]) -> dict[TopicPartition, Future[Any]]:
        return {
            place: self.answer(SimpleNamespace(offset=self.topics[place.topic].end))
            for place in asked
        }

    def describe_configs(self, asked: list[ConfigResource]) -> dict[ConfigResource, Future[Any]]:
        return {
            one: self.answer(
                {
                    key: SimpleNamespace(value=value)
                    for key, value in self.topics[one.name].config.items()
                }
            )
            for one in asked
        }

    def incremental_alter_configs(
        self, changed: list[ConfigResource]
    ) -> dict[ConfigResource, Future[Any]]:
        for one in changed:
            for entry in one.incremental_configs:
                self.topics[one.name].config[entry.name] = entry.value
        return {one: self.answer(None) for one in changed}


def done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def failed(code: int) -> Callable[[Any], Future[Any]]:
    def fail(_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(KafkaException(KafkaError(code)))
        return future

    return fail


@pytest.fixture
def cluster() -> FakeAdmin:
    return FakeAdmin()


@pytest.fixture
def admin(cluster: FakeAdmin) -> TopicsAdmin:
    return TopicsAdmin(cluster, FakeRegistry().client())


def whats(admin: TopicsAdmin, *declared: Topic) -> list[tuple[str, str | None, str]]:
    return [
        (change.what, change.before, change.after)
        for change in admin.apply({one.name: one for one in declared})
    ]


def test_a_topic_takes_messages_as_large_as_declared(
    admin: TopicsAdmin, cluster: FakeAdmin
) -> None:
    assert [what for what, _, _ in whats(admin, QUARANTINE, PLAIN)][:2] == ["topic", "topic"]
    assert cluster.topics["quarantine"].config["max.message.bytes"] == "4000000"
    assert cluster.topics["alerts"].config["max.message.bytes"] == "1048588"
    assert whats(admin, QUARANTINE, PLAIN) == []


def test_a_topic_is_compacted_where_declared(admin: TopicsAdmin, cluster: FakeAdmin) -> None:
    whats(admin, PLAIN)
    assert cluster.topics["alerts"].config["cleanup.policy"] == "delete"

    assert whats(admin, replace(PLAIN, compact=True)) == [("cleanup_policy", "delete", "compact")]
    assert cluster.topics["alerts"].config["cleanup.policy"] == "compact"
    assert whats(admin, replace(PLAIN, compact=True)) == []


def test_a_topic_that_exists_is_made_to_take_them(admin: TopicsAdmin, cluster: FakeAdmin) -> None:
    before = replace(QUARANTINE, max_message_bytes=None)
    whats(admin, before)

    assert whats(admin, QUARANTINE) == [("max_message_bytes", "1048588", "4000000")]
    assert cluster.topics["quarantine"].config["max.message.bytes"] == "4000000"
    assert whats(admin, QUARANTINE) == []
    assert whats(admin, before) == [], "what is not declared is the brokers' own affair"
    assert whats(admin, replace(QUARANTINE, retention_hours=1)) == [
        ("retention_ms", "2592000000", "3600000")
    ]


def test_the_largest_of_any_input_fits_where_it_goes_from_there() -> None:
    declared = topics()
    for derived in ("fraud-features", "fraud-scores"):
        # The record, its id once more as the key, and what is added to it.
        assert declared[derived].room > 2 * declared["transactions"].room + 100_000
        assert declared["quarantine"].room > declared[derived].room + 100_000
    assert largest_message() == declared["quarantine"].max_message_bytes


def test_the_contract_of_a_topic_that_never_had_a_record_may_be_another(
    cluster: FakeAdmin,
) -> None:
    registry = FakeRegistry()
    admin = TopicsAdmin(cluster, registry.client())
    whats(admin, PLAIN)
    other = replace(PLAIN, schema="Session")
    registry.incompatible.add("alerts-value")

    cluster.topics["alerts"].end = 1
    with pytest.raises(UserError, match=r"Session\.avsc does not fit what alerts-value holds"):
        admin.apply({"alerts": other})
    cluster.topics["alerts"].end = 0
    assert whats(admin, other) == [
        ("contract", "1", "Session"),
        ("schema", "1", "Session"),
        ("compatibility", None, "FULL_TRANSITIVE"),
    ]
    assert len(registry.subjects["alerts-value"]) == 1, "the old one is gone"
    assert whats(admin, other) == []


@pytest.mark.parametrize(
    "code", [KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT]
)
def test_brokers_that_go_away_are_away(admin: TopicsAdmin, cluster: FakeAdmin, code: int) -> None:
    whats(admin, PLAIN)
    cluster.answer = failed(code)

    with pytest.raises(RetryableError, match="Kafka does not answer"):
        admin.differences({"alerts": PLAIN})
    with pytest.raises(RetryableError, match="Kafka does not answer"):
        admin.apply({"quarantine": QUARANTINE})


def test_an_answer_that_never_comes_is_not_waited_for(
    admin: TopicsAdmin, cluster: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics_admin, "_TIMEOUT", 0.01)
    whats(admin, PLAIN)
    cluster.answer = lambda _: Future()

    with pytest.raises(RetryableError, match=r"does not answer within 0\.01 s"):
        admin.differences({"alerts": PLAIN})
    with pytest.raises(RetryableError, match="does not answer within"):
        admin.apply({"quarantine": QUARANTINE})


def test_a_refusal_is_told(admin: TopicsAdmin, cluster: FakeAdmin) -> None:
    whats(admin, PLAIN)
    cluster.answer = failed(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    with pytest.raises(UserError, match="Kafka refused: Broker: Topic authorization failed"):
        admin.differences({"alerts": PLAIN})


def test_a_topic_made_by_somebody_else_meanwhile_is_fine(
    admin: TopicsAdmin, cluster: FakeAdmin
) -> None:
    cluster.answer = failed(KafkaError.TOPIC_ALREADY_EXISTS)

    assert whats(admin, PLAIN)[0] == ("topic", None, "1 partitions")


def test_each_record_of_a_topic_has_a_subject_that_evolves_by_itself() -> None:
    registry = FakeRegistry()
    admin = TopicsAdmin(FakeAdmin(), registry.client())
    declared = {"t": Topic("t", "customer_id", "Transaction", 1, 1, 1, also=("FraudLabel",))}

    admin.apply(declared)

    assert registry.subjects.keys() == {"t-value", "t-millrace.FraudLabel"}
    assert registry.levels == dict.fromkeys(registry.subjects, "FULL_TRANSITIVE")
    assert admin.differences(declared) == []


def test_partitions_are_overridden_topic_by_topic() -> None:
    assert partitions(" a=4, b=2,", {"a", "b", "c"}) == {
        "a": {"partitions": 4},
        "b": {"partitions": 2},
    }
    assert partitions("", {"a"}) == {}
    for wrong in ("d=1", "a=0", "a=x", "a"):
        with pytest.raises(UserError, match="MILLRACE_PARTITIONS"):
            partitions(wrong, {"a"})
