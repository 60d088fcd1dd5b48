"""Ingestion on the real broker and registry.

Topics, schemas, the sink's contract, replays that are interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from config.errors import UserError
from config.settings import ROOT, Settings
from config.topics import Topic, topics
from ingestion import schema
from ingestion.kafka.producer import KafkaSink
from ingestion.kafka.topics import Found, TopicsAdmin, admin
from ingestion.wire.codec import Codec
from ingestion.wire.registry import FULL_TRANSITIVE, IncompatibleSchemaError, Registry
from millrace.stack.harness import Stack
from tests.integration.parts import ends, messages, read, until
from tests.integration.payments import decisions, logged, payments_are_through, stored
from tests.unit.ingestion.sinks import SinkConformance

# A shell ignores SIGINT in what it runs in the background, and the tests' children would inherit
# that.
INTERRUPTIBLE = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
Arrived = list[tuple[bytes | None, bytes | None]]


@pytest.fixture
def registry(stack: Settings) -> Iterator[Registry]:
    with Registry(stack.registry_url) as client:
        yield client


@pytest.fixture
def kafka(stack: Settings) -> AdminClient:
    return admin(stack.kafka_bootstrap)


@pytest.fixture
def topic(kafka: AdminClient) -> Iterator[Topic]:
    """A declaration of a topic that does not exist; what came of it is removed."""
    declared = Topic(
        f"it-{uuid4()}",
        "customer_id",
        "Transaction",
        partitions=1,
        replication=1,
        retention_hours=1,
    )
    yield declared
    if declared.name in kafka.list_topics(timeout=10).topics:
        kafka.delete_topics([declared.name])[declared.name].result(30)


def contents(stack: Settings, name: str) -> Arrived:
    """(key, value) of all records of a topic, partition by partition."""
    found: Arrived = []
    config = {
        "bootstrap.servers": stack.kafka_bootstrap,
        "group.id": f"tests-{uuid4()}",
        "enable.auto.commit": False,
    }
    consumer = Consumer(config)
    try:
        for partition, last in ends(stack, name).items():
            consumer.assign([TopicPartition(name, partition, 0)])
            position = 0
            while position < last:
                for message in consumer.consume(10_000, timeout=1.0):
                    assert message.error() is None, message.error()
                    position = message.offset() + 1
                    found.append((message.key(), message.value()))
    finally:
        consumer.close()
    return found


class TestTopics:
    def test_applying_creates_grows_and_changes_nothing_the_second_time(
        self, kafka: AdminClient, registry: Registry, topic: Topic
    ) -> None:
        topics_of = TopicsAdmin(kafka, registry)

        first = topics_of.apply({topic.name: topic})
        assert [change.what for change in first] == ["topic", "schema", "compatibility"]
        assert registry.compatibility(topic.subject) == FULL_TRANSITIVE
        until("the topic is known", lambda: topic.name in topics_of.found([topic]))
        assert topics_of.apply({topic.name: topic}) == []

        grown = replace(topic, partitions=3, retention_hours=2)
        assert [change.what for change in topics_of.apply({topic.name: grown})] == [
            "partitions",
            "retention_ms",
        ]
        wanted = {topic.name: Found(partitions=3, replication=1, retention_ms=7_200_000)}
        until("the topic has grown", lambda: topics_of.found([topic]) == wanted)
        assert topics_of.apply({topic.name: grown}) == []

    def test_partitions_are_never_taken_away(
        self, kafka: AdminClient, registry: Registry, topic: Topic
    ) -> None:
        topics_of = TopicsAdmin(kafka, registry)
        topics_of.apply({topic.name: replace(topic, partitions=2)})
        until("the topic is known", lambda: topic.name in topics_of.found([topic]))

        with pytest.raises(UserError, match="has 2 partitions, 1 declared"):
            topics_of.apply({topic.name: topic})
        with pytest.raises(UserError, match="has replication 1, 2 is declared"):
            topics_of.apply({topic.name: replace(topic, partitions=2, replication=2)})

    def test_an_incompatible_schema_is_refused_before_anything_changes(
        self,
        kafka: AdminClient,
        registry: Registry,
        stack: Settings,
        topic: Topic,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        topics_of = TopicsAdmin(kafka, registry)
        topics_of.apply({topic.name: topic})
        until("the topic is known", lambda: topic.name in topics_of.found([topic]))
        # The contract of a topic without a record would be replaced.
        with KafkaSink(stack.kafka_bootstrap, client_id="it") as sink:
            sink.send(topic.name, b"k", b"v")
        changed = schema.load("Transaction")
        changed["fields"].append({"name": "color", "type": "string", "doc": "No default."})
        monkeypatch.setattr(schema, "text", lambda name: json.dumps(changed))

        with pytest.raises(UserError, match=r"Transaction\.avsc does not fit"):
            topics_of.apply({topic.name: replace(topic, partitions=2)})

        assert topics_of.found([topic])[topic.name].partitions == 1
        assert registry.versions(topic.subject) == [1]

    def test_the_stack_is_as_declared(self, harness: Stack) -> None:
        assert json.loads(harness.cli("topics", "check", "--json")) == []
        assert {
            one["name"]
            for one in json.loads(harness.cli("topics", "list", "--json"))
            if one["exists"]
        } == set(topics())


class TestSchemas:
    @pytest.mark.parametrize("name", schema.names())
    def test_every_contract_can_grow_and_shrink_by_what_has_a_default(
        self, registry: Registry, name: str
    ) -> None:
        subject = f"it-{uuid4()}-value"
        registry.register(subject, schema.text(name))
        registry.set_compatibility(subject)
        grown = schema.load(name)
        grown["fields"].append({"name": "added", "type": ["null", "string"], "default": None})

        registry.register(subject, json.dumps(grown))
        assert registry.check(subject, schema.text(name)) is None
        assert registry.versions(subject) == [1, 2]

    @pytest.mark.parametrize("name", schema.names())
    def test_no_contract_may_lose_or_gain_what_has_none(
        self, registry: Registry, name: str
    ) -> None:
        subject = f"it-{uuid4()}-value"
        registry.register(subject, schema.text(name))
        registry.set_compatibility(subject)
        gained, lost, retyped = schema.load(name), schema.load(name), schema.load(name)
        gained["fields"].append({"name": "added", "type": "string"})
        place = next(
            number for number, field in enumerate(lost["fields"]) if "default" not in field
        )
        del lost["fields"][place]
        retyped["fields"][place]["type"] = {"type": "array", "items": "string"}

        for changed in (gained, lost, retyped):
            assert registry.check(subject, json.dumps(changed)) is not None
            with pytest.raises(IncompatibleSchemaError):
                registry.register(subject, json.dumps(changed))
        assert registry.versions(subject) == [1]


@dataclass
class KafkaBench:
    sink: KafkaSink
    topic: str
    unknown: str
    stack: Settings

    def arrived(self) -> Arrived:
        return contents(self.stack, self.topic)


class TestKafkaSink(SinkConformance):
    @pytest.fixture
    def bench(self, stack: Settings, kafka: AdminClient, topic: Topic) -> Iterator[KafkaBench]:
        kafka.create_topics([NewTopic(topic.name, 2, 1)])[topic.name].result(30)
        until("the topic is known", lambda: topic.name in kafka.list_topics(timeout=10).topics)
        # The client waits half a minute for a new topic to become known; not in a test.
        hasty: dict[str, Any] = {"topic.metadata.propagation.max.ms": 500}
        sink = KafkaSink(stack.kafka_bootstrap, **hasty)
        yield KafkaBench(sink, topic.name, f"it-none-{uuid4()}", stack)
        sink.close()

    def test_a_full_queue_holds_back_and_loses_nothing(self, bench: KafkaBench) -> None:
        short: dict[str, Any] = {"queue.buffering.max.messages": 50}
        with KafkaSink(bench.stack.kafka_bootstrap, **short) as sink:
            for number in range(5000):
                sink.send(bench.topic, str(number), b"v")
        assert sink.delivered == len(bench.arrived()) == 5000

    def test_a_key_lies_where_java_would_put_it(self, bench: KafkaBench) -> None:
        # murmur2("21") mod 2 and so on, from Kafka's own UtilsTest: "21" hashes to -973932308.
        bench.sink.send(bench.topic, "21", b"v")
        bench.sink.flush()

        assert ends(bench.stack, bench.topic)[(-973932308 & 0x7FFFFFFF) % 2] == 1

    def test_a_broker_killed_on_the_way_costs_nothing(
        self, bench: KafkaBench, harness: Stack
    ) -> None:
        for number in range(2000):
            bench.sink.send(bench.topic, str(number % 10), str(number).encode())
            if number == 1000:
                bench.sink.flush()
                harness.kill("kafka")
        bench.sink.flush(120)
        harness.wait_ready("kafka")

        arrived = bench.arrived()
        assert sorted(int(value or b"") for _, value in arrived) == list(range(2000))
        for key in range(10):
            of_key = [int(value or b"") for name, value in arrived if name == str(key).encode()]
            assert of_key == sorted(of_key)


@dataclass(frozen=True)
class Days:
    """A parquet file of two payments an hour for some days, nobody else's ids."""

    path: Path
    ids: list[str]


@pytest.fixture
def days(tmp_path: Path) -> Days:
    mark, count = str(uuid4()), 10 * 48
    ids = [f"{mark}-{number}" for number in range(count)]
    columns: dict[str, Any] = {
        "transaction_id": ids,
        # 2001: older than anything another test sends.
        "tx_datetime": pa.array(
            [1_000_000_000_000 + number * 1_800_000 for number in range(count)], pa.timestamp("ms")
        ),
        "customer_id": [f"{mark}-c{number % 7}" for number in range(count)],
        "terminal_id": [f"{mark}-m{number % 3}" for number in range(count)],
        "tx_amount": [float(number) if number != 100 else None for number in range(count)],
        "tx_fraud": [int(number % 10 == 0) for number in range(count)],
    }
    path = tmp_path / f"{mark}.parquet"
    pq.write_table(pa.table(columns), path)
    return Days(path, ids)


class TestReplay:
    def test_payments_and_verdicts_arrive_whole(
        self, stack: Settings, harness: Stack, days: Days
    ) -> None:
        start = ends(stack, "transactions")

        summary = json.loads(
            harness.cli("replay", "transactions", str(days.path), "--label-delay", "2d", "--json")
        )

        good = [one for one in days.ids if not one.endswith("-100")]
        assert summary["rows"] == 480
        assert summary["rejected"] == 1
        assert "tx_amount" in Path(summary["rejected_file"]).read_text()
        with Registry(stack.registry_url) as registry:
            codec = Codec(registry)
            sent = [
                codec.decoded("transactions", message.value())
                for message in messages(stack, "transactions", start)
            ]
        payments = [one.record for one in sent if one.name == "Transaction"]
        verdicts = [one.record for one in sent if one.name == "FraudLabel"]
        mine = [one for one in payments if one["transaction_id"] in good]
        assert [one["transaction_id"] for one in mine] == good
        assert mine[5]["amount"] == 5.0
        times = {one["transaction_id"]: one["event_time"] for one in mine}
        known = [one for one in verdicts if one["transaction_id"] in times]
        # Those known by the last payment: not those of the last two days.
        assert len(known) == 479 - 96
        order = [one.record["event_time"] for one in sent if one.record["transaction_id"] in times]
        assert order == sorted(order), "each verdict at its own time"
        assert all(
            one["event_time"] == times[one["transaction_id"]] + 2 * 86_400_000 for one in known
        )
        assert all(
            one["is_fraud"] == (int(one["transaction_id"].rsplit("-", 1)[1]) % 10 == 0)
            for one in known
        )

    def test_interrupted_it_goes_on_and_then_begins_anew(
        self, stack: Settings, harness: Stack, days: Days
    ) -> None:
        start = ends(stack, "transactions")
        line = [
            sys.executable,
            "-m",
            "millrace.cli.main",
            "replay",
            "transactions",
            str(days.path),
            "--json",
        ]
        # Half an hour of event time in 50 ms: a day takes 2.4 s.
        with subprocess.Popen(
            [*line, "--speed", "x36000"],
            cwd=ROOT,
            env=os.environ,
            stderr=subprocess.PIPE,
            preexec_fn=INTERRUPTIBLE,
        ) as running:
            progress = stack.state_dir / "replay"
            until("a day is done", lambda: list(progress.glob(f"{days.path.name}-*.json")))
            running.send_signal(signal.SIGINT)
            _, complaint = running.communicate(timeout=60)
        assert running.returncode == 130
        assert b"interrupted" in complaint

        second = json.loads(harness.cli(*line[3:]))
        assert 0 < second["resumed_at"] < 480
        assert second["rows"] == 480
        third = json.loads(harness.cli(*line[3:]))
        assert third["resumed_at"] == 0

        with Registry(stack.registry_url) as registry:
            sent = [one["transaction_id"] for one in logged(stack, Codec(registry), start)]
        counts = [sent.count(one) for one in days.ids if not one.endswith("-100")]
        assert min(counts) == 2
        assert max(counts) <= 3

    def test_the_same_replay_twice_changes_no_stored_value(
        self, stack: Settings, harness: Stack, model: object, days: Days
    ) -> None:
        good = [one for one in days.ids if not one.endswith("-100")]
        mark = days.path.stem
        with redis.Redis.from_url(stack.redis_url) as client:

            def replayed() -> dict[str, object]:
                done = json.loads(harness.cli("replay", "transactions", str(days.path), "--json"))
                assert (done["resumed_at"], done["rows"]) == (0, 480)
                payments_are_through(stack)
                return decisions(client, good, [f"{mark}-c{number}" for number in range(7)])

            first = replayed()
            assert len(stored(client, good)) == len(good)
            assert replayed() == first

    def test_shop_events(self, stack: Settings, harness: Stack, tmp_path: Path) -> None:
        start, mark = ends(stack, "shop-events"), str(uuid4())
        path, prices = tmp_path / "events.csv", tmp_path / "item_properties_part1.csv"
        lines = [
            f"{1_000_000_000_000 + 1000 * number},{mark},view,{number % 3}," for number in range(50)
        ]
        path.write_text(
            "\n".join(
                ["timestamp,visitorid,event,itemid,transactionid", *reversed(lines), "x,1,view,1,"]
            )
        )
        prices.write_text("timestamp,itemid,property,value\n1,2,790,n10.500\n")
        line = ("replay", "retail-rocket", str(path), "--item-properties", str(prices), "--json")

        first, second = (json.loads(harness.cli(*line)) for _ in range(2))

        assert first["produced"] == second["produced"] == {"shop-events": 50}
        assert first["rejected"] == 1
        with Registry(stack.registry_url) as registry:
            events = [
                one
                for one in read(stack, "shop-events", Codec(registry), start)
                if one["user_id"] == mark
            ]
        assert len(events) == 100
        assert len({one["event_id"] for one in events}) == 50
        assert {one["price"] for one in events if one["item_id"] == "2"} == {10.5}
        assert {one["price"] for one in events if one["item_id"] == "1"} == {None}

    def test_wrong_files_end_with_one_line_and_code_2(self, harness: Stack, tmp_path: Path) -> None:
        path = tmp_path / "sample.csv"
        path.write_text("timestamp,user_id,item_id,session_id\n1,2,3,4\n")

        with pytest.raises(subprocess.CalledProcessError) as caught:
            harness.cli("replay", "retail-rocket", str(path))

        assert caught.value.returncode == 2
        assert caught.value.stderr.count("\n") == 1
        assert "its header is" in caught.value.stderr


class TestSimulate:
    def test_simulated_payments_arrive(self, stack: Settings, harness: Stack) -> None:
        start, seed = ends(stack, "transactions"), uuid4().int % 10**9
        sizes = ("--customers", "30", "--terminals", "60", "--start", "2001-09-09")

        summary = json.loads(
            harness.cli(
                "simulate",
                "--seed",
                str(seed),
                "--events",
                "200",
                "--rate",
                "2000",
                *sizes,
                "--json",
            )
        )

        assert summary["produced"]["transactions"] == 200
        with Registry(stack.registry_url) as registry:
            sent = [one["transaction_id"] for one in logged(stack, Codec(registry), start)]
        assert [one for one in sent if one.startswith(f"sim-{seed}-")] == [
            f"sim-{seed}-{n}" for n in range(200)
        ]
