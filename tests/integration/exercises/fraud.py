"""Payments and verdicts; what becomes of them is held against the reference engine.

The undisturbed run is the specification: features by the reference engine in plain Python
(`domain/`), which a property test holds equal to the kernel bit for bit, and the same model. So
this also shows that the whole path computes what is specified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import numpy as np

from config.settings import Settings
from domain.events import Decision, FraudLabel
from domain.fraud.features import FRAUD
from domain.fraud.rules import ruled
from ingestion.fraud.rules import load
from millrace.stack.layout import Layout
from orchestration.shelf.store import Store
from serving.fraud.model import Model, accept
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.flow import RATE, START, Flow
from tests.integration.parts import ends, read, through
from tests.integration.payments import (
    JOB,
    decisions,
    payments_are_through,
    send,
    stored,
)

LOG, FEATURES, SCORES, LABELS = (
    "transactions",
    "fraud-features",
    "fraud-scores",
    "transaction-labels",
)
FORWARDER = "fraud-verdicts"
# The reference engine does a few thousand payments a second: of more than this many, the first and
# the last district are held against it.
MOST, DISTRICT = 80_000, 10_000
AHEAD = 4_000_000_000_000
# What a transaction's place in its topic adds to its features.
PLACES = {"partition", "sequence", "order_partition", "order_sequence", "produced_at"}

Rows = dict[str, dict[str, Any]]


def exercise(hands: Hands) -> Exercise:
    """Return card fraud's part."""
    starts = {topic: ends(hands.stack, topic) for topic in (LOG, FEATURES, SCORES)}
    return Fraud(hands, starts, Flow(hands.run, district=DISTRICT))


@dataclass
class Fraud:
    """Payments with verdicts among them, and verdicts from elsewhere on terminals of their own."""

    hands: Hands
    starts: dict[str, dict[int, int]]
    flow: Flow
    rate: int = RATE
    good: int = 110_000  # verdicts included
    forwarded: list[FraudLabel] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Return how many records it has sent to the log of payments."""
        return len(self.flow.events)

    def sending(self) -> Iterator[object]:
        """Send the verdicts of the days before, then the flow, and with every 50th one forwarded.

        Forwarded verdicts are on terminals without payments: their place in the log is not known
        here.
        """
        sink, codec = self.hands.sink, self.hands.codec
        self.flow.send(sink, codec, *self.flow.verdicts_before())
        steps = self.flow.sending(sink, codec)
        for place in count():
            if place % 50 == 0:
                self._forward(place)
            yield next(steps)

    def _forward(self, place: int) -> None:
        label = FraudLabel(
            transaction_id=f"{self.hands.run}-elsewhere-{place}",
            event_time=START + place * 1000,
            customer_id=f"{self.hands.run}-elsewhere-c{place % 7}",
            terminal_id=f"{self.hands.run}-elsewhere-t{place % 5}",
            is_fraud=place % 3 == 0,
        )
        encoder = self.hands.codec.encoder(LABELS)
        self.hands.sink.send(LABELS, label.terminal_id, encoder.object(label))
        self.forwarded.append(label)

    def poisons(self) -> list[Poison]:
        """Return poison for the log of payments and for the topic of verdicts from elsewhere."""

        def payment(number: int) -> dict[str, Any]:
            return {
                "transaction_id": f"{self.hands.run}-bad-{number}",
                "event_time": START,
                "customer_id": f"{self.hands.run}-c1",
                "terminal_id": f"{self.hands.run}-t1",
                "amount": 10.0,
            }

        def verdict(number: int) -> dict[str, Any]:
            label = {**payment(number), "is_fraud": True}
            del label["amount"]
            return label

        # Of the year 2096: entering the windows, it would make every other one late.
        wrong = ({"amount": float("nan")}, {"event_time": START * 1000}, {"event_time": AHEAD})
        elsewhere = f"consumer/{FORWARDER}"
        return [
            *of_the_wire(self.hands, LOG, JOB, payment, "amount"),
            *(refused(self.hands, LOG, JOB, payment, **changed) for changed in wrong),
            refused(self.hands, LOG, JOB, verdict, "FraudLabel", event_time=AHEAD),
            *of_the_wire(self.hands, LABELS, elsewhere, verdict, "event_time"),
            refused(self.hands, LABELS, elsewhere, verdict, event_time=START * 1000),
        ]

    def through(self) -> None:
        """Wait until verdicts are forwarded, features computed and decisions stored."""
        self.hands.sink.flush(120)
        through(self.hands.stack, (FORWARDER, LABELS), timeout=300)
        payments_are_through(self.hands.stack, timeout=300)

    def verify(self) -> None:
        """Assert that vectors, stored decisions and published scores are the specified ones."""
        expected = self._expected()
        found = stored(self.hands.client, self._identities())
        assert len(found) == len(self.flow.payments), "every transaction has a score"
        assert not any(one["late"] for one in found.values())
        self._each_score_is_the_undisturbed_one(found, expected)
        for identity in (self._identities()[0], self._identities()[-1]):
            answer = self.hands.api.get(f"/v1/fraud/transactions/{identity}")
            assert answer.raise_for_status().json() == found[identity]
        self._each_feature_is_the_specified_one(expected)
        self._each_is_published_once(expected)
        log = self._read(LOG, {label.customer_id for label in self.forwarded})
        assert {one["transaction_id"] for one in log} == {
            label.transaction_id for label in self.forwarded
        }

    def _identities(self) -> list[str]:
        return [payment.transaction_id for payment in self.flow.payments]

    def _expected(self) -> Rows:
        """Return the specified rows: of all, or where there are many, of two districts."""
        events, run = self.flow.events, self.hands.run
        if len(events) <= MOST:
            return self.flow.features()
        first = f"{run}-c"
        last = events[-1].customer_id.rpartition("c")[0]
        return self.flow.features(
            [one for one in events if one.customer_id.startswith((first, last))]
        )

    def _read(self, topic: str, keys: set[str]) -> list[dict[str, Any]]:
        return read(
            self.hands.stack, topic, self.hands.codec, self.starts[topic], keys.__contains__
        )

    def _each_score_is_the_undisturbed_one(self, found: Rows, expected: Rows) -> None:
        model = _current(self.hands.stack)
        matrix = np.array(
            [[row[name] for name in model.features] for row in expected.values()], dtype=np.float64
        )
        scores = dict(zip(expected, map(float, model.predictor.predict(matrix)), strict=True))
        rules = load(self.hands.stack.rules_file)

        def decision(identity: str, score: float) -> Decision:
            return ruled(model.thresholds.decide(score), rules.hits(expected[identity]))

        right = {
            identity: (score, decision(identity, score), expected[identity]["late"])
            for identity, score in scores.items()
        }
        told = {
            identity: (one["score"], one["decision"], one["late"])
            for identity, one in found.items()
        }
        wrong = [(told[one], right[one]) for one in right if told[one] != right[one]]
        assert not wrong, (
            f"{len(wrong)} of {len(right)} differ from the undisturbed run: {wrong[:5]}"
        )
        assert len(set(scores.values())) > 100, (
            "a model that says one thing of all would hide what is lost"
        )
        assert {stands for _, stands, _ in right.values()} == {"approve", "review", "block"}

    def _each_feature_is_the_specified_one(self, expected: Rows) -> None:
        """Bit for bit, and each time: after a restart some come again."""
        mine = self._features(expected)
        assert {row["transaction_id"] for row in mine} == expected.keys()
        names = {*FRAUD.features, *expected[mine[0]["transaction_id"]]} - PLACES
        wrong = [
            (row["transaction_id"], name, row[name], expected[row["transaction_id"]][name])
            for row in mine
            for name in names
            if repr(row[name]) != repr(expected[row["transaction_id"]][name])
        ]
        assert not wrong, f"{len(wrong)} features are not what is specified: {wrong[:5]}"

    def _features(self, expected: Rows) -> list[dict[str, Any]]:
        return self._read(FEATURES, {row["customer_id"] for row in expected.values()})

    def _each_is_published_once(self, expected: Rows) -> None:
        published = defaultdict(set)
        for record in self._read(SCORES, set(expected)):
            published[record["transaction_id"]].add((record["score"], record["decision"]))
        doubled = [identity for identity in expected if len(published[identity]) != 1]
        assert not doubled, f"a reader of fraud-scores saw none or two decisions: {doubled[:5]}"

    def stored(self) -> Mapping[str, object]:
        """Return the stored decisions, by transaction and by customer."""
        customers = {payment.customer_id for payment in self.flow.payments}
        return decisions(self.hands.client, self._identities(), customers)

    def repeat(self) -> None:
        """Send the events, which the job knows, and features, which the store must refuse.

        Features newest first.
        """
        sink, codec = self.hands.sink, self.hands.codec
        send(sink, codec, self.flow.events)
        customers = {payment.customer_id for payment in self.flow.payments}
        for row in reversed(self._read(FEATURES, customers)):
            sink.send(FEATURES, row["customer_id"], codec.encode(FEATURES, row))
        for label in self.forwarded:
            sink.send(LABELS, label.terminal_id, codec.encode(LABELS, asdict(label)))


def _current(stack: Settings) -> Model:
    store = Store(Layout.of(stack).models / "fraud")
    return accept(*store.load(store.current() or ""))
