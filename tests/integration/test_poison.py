"""A thousand poison messages among a hundred thousand good ones, on the inputs of every product.

No job restarts, nothing good is lost, and every reader sees what there would be without poison.
"""

from __future__ import annotations

import base64
import json
import struct
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import Any

import httpx
import pytest
import redis

from config.settings import Settings
from domain.events import Transaction
from ingestion import schema
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.registry import Registry
from millrace.stack.harness import Stack
from tests.integration.exercises import Exercise, exercises
from tests.integration.parts import ends, plug, read, restarts, until
from tests.integration.payments import stored

EVERY = 100


@dataclass
class Sprinkler:
    """Sends poison, and keeps what of which kind."""

    sink: KafkaSink
    run: str
    readers: dict[str, set[str]]
    """Who puts aside what is wrong on a topic."""
    sent: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By topic, who puts it aside, and the reason."""
    made: set[bytes] = field(default_factory=set)

    def among(self, exercise: Exercise) -> Iterator[object]:
        """Send the exercise's good records, one each time it is advanced, and poison among them."""
        makers = exercise.poisons()
        for place, step in enumerate(islice(exercise.sending(), exercise.good)):
            if place % EVERY == 0:
                poison = makers[place // EVERY % len(makers)]
                value = poison.make(place)
                self.sink.send(poison.topic, f"{self.run}-poison-{place}", value)
                for reader in self.readers[poison.topic]:
                    self.sent[poison.topic, reader, poison.reason] += 1
                self.made.add(value)
            yield step


@pytest.mark.timeout(900)
def test_poison_is_set_aside_and_the_rest_goes_on(
    harness: Stack, stack: Settings, api: httpx.Client
) -> None:
    run, start = f"poison-{uuid.uuid4().hex[:8]}", ends(stack, "quarantine")
    with (
        redis.Redis.from_url(stack.redis_url) as client,
        plug(stack) as (sink, codec),
        exercises(stack, client, api, run) as every,
    ):
        before = {job.name: restarts(stack, job.name) for product in every for job in product.jobs}
        readers: dict[str, set[str]] = defaultdict(set)
        for poison in chain.from_iterable(exercise.poisons() for exercise in every.values()):
            readers[poison.topic].add(poison.by)
        sprinkler = Sprinkler(sink, run, readers)
        for _ in zip_longest(*(sprinkler.among(exercise) for exercise in every.values())):
            pass
        sink.flush()
        assert sprinkler.sent.total() >= 1000
        for exercise in every.values():
            exercise.through()

        def quarantined() -> list[dict[str, Any]]:
            mine = f"{run}-poison-".encode()
            return [
                record
                for record in read(stack, "quarantine", codec, start)
                if record["key"].startswith(mine)
            ]

        until("all poison is quarantined", lambda: len(quarantined()) >= sprinkler.sent.total())
        records = quarantined()
        told = Counter((one["source_topic"], one["job"], one["reason"]) for one in records)
        assert told == sprinkler.sent
        assert len({(_place(record), record["job"]) for record in records}) == len(records)
        assert {record["value"] for record in records if record["reason"] != "empty"} <= (
            sprinkler.made
        ), "the bytes are kept whole"
        assert {job: restarts(stack, job) for job in before} == before
        for exercise in every.values():
            exercise.verify()
    _listed_and_shown(harness, records)


def _place(record: dict[str, Any]) -> str:
    return f"{record['source_topic']}/{record['source_partition']}/{record['source_offset']}"


def _listed_and_shown(harness: Stack, records: list[dict[str, Any]]) -> None:
    for topic in sorted({record["source_topic"] for record in records}):
        mine = {_place(one): one for one in records if one["source_topic"] == topic}
        line = ("quarantine", "list", "--json", "--limit", "0", "--topic", topic)
        told = {one["id"]: one["reason"] for one in json.loads(harness.cli(*line))["records"]}
        assert {place: told[place] for place in mine} == {
            place: one["reason"] for place, one in mine.items()
        }
        place, one = next(pair for pair in mine.items() if pair[1]["reason"] == "truncated")
        shown = json.loads(harness.cli("quarantine", "show", place, "--json"))
        assert base64.b64decode(shown["value_base64"]) == one["value"]
        assert shown["unreadable_now"].startswith("truncated")


def test_what_was_ahead_of_the_registry_is_replayed_once_it_can_be_read(
    harness: Stack, stack: Settings
) -> None:
    """A producer has a schema that the registry does not know yet."""
    run = f"early-{uuid.uuid4().hex[:8]}"
    payment = Transaction(
        transaction_id=run,
        event_time=1_760_000_000_000,
        customer_id=f"{run}-c",
        terminal_id=f"{run}-t",
        amount=10.0,
    )
    later = _register(stack, run, "One.") + 1
    with plug(stack) as (sink, codec):
        good = codec.encoder("transactions").object(payment)
        sink.send("transactions", run, struct.pack(">bI", 0, later) + good[5:])

    def listed() -> list[dict[str, Any]]:
        line = ("quarantine", "list", "--json", "--limit", "0", "--reason", "unknown_schema")
        return [one for one in json.loads(harness.cli(*line))["records"] if one["key"] == run]

    (aside,) = until("it is set aside", listed, pause=1.0)
    assert _register(stack, run, "Two.") == later
    replayed = json.loads(harness.cli("quarantine", "replay", aside["id"], "--json"))
    assert replayed["replayed"] == [aside["id"]]
    with redis.Redis.from_url(stack.redis_url) as client:
        scored = until("it is scored", lambda: stored(client, [run]))
    assert not scored[run]["late"]


def _register(stack: Settings, run: str, word: str) -> int:
    """The id of a schema that nobody has registered before.

    Transaction with another word in its doc string.
    """
    made = schema.load("Transaction")
    made["doc"] = f"{made['doc']} {run} {word}"
    with Registry(stack.registry_url) as registry:
        return registry.register(f"{run}-later-value", json.dumps(made))
