"""Alerts of some product and what people do about them; the last word on each stays."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from serving.alerts import keys
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire
from tests.integration.parts import through

ALERTS, ACTS = "alerts", "alert-acts"
CONSUMERS = ("alerts", "alert-sender")
STATES = ("open", "still_open", "cleared")


def exercise(hands: Hands) -> Exercise:
    """Return the alerts' part."""
    return Told(hands, time.time_ns() // 1_000_000)


@dataclass
class Told:
    """What has been sent so far."""

    hands: Hands
    began: int
    rate: int = 20
    good: int = 4_000
    records: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.records)

    def sending(self) -> Iterator[object]:
        """Send alerts that open, last and clear, and acknowledge every second one."""
        for place in count():
            number, step = divmod(place, 4)
            if step < 3:
                self._send(ALERTS, f"{self.hands.run}-e{number}", self._alert(number, step))
            elif number % 2 == 0:
                act = self._act(number, place)
                self._send(ACTS, act["subject"], act)
            yield place

    def _alert(self, number: int, step: int) -> dict[str, Any]:
        return {
            "alert_id": f"{self.hands.run}-{number}",
            "entity": f"{self.hands.run}-e{number}",
            "event_time": self.began + number * 10 + step,
            "kind": "EXERCISE",
            "severity": "warning",
            "message": f"step {step}",
            "details": {},
            "state": STATES[step],
            "opened_at": self.began + number * 10,
            "product": "exercise",
            "score": 0.5,
            "location": None,
        }

    def _act(self, number: int, when: int) -> dict[str, Any]:
        return {
            "subject": f"ack/{self.hands.run}-{number}",
            "event_time": self.began + when,
            "act": "ack",
            "alert_id": f"{self.hands.run}-{number}",
            "entity": "",
            "kind": "",
            "until": None,
            "by": f"somebody {when}",
            "note": "",
        }

    def _send(self, topic: str, key: str, record: dict[str, Any]) -> None:
        self.hands.sink.send(topic, key, self.hands.codec.encode(topic, record))
        self.records.append((topic, key, record))

    def poisons(self) -> list[Poison]:
        """Return poison for both topics; both consumers put it aside."""
        return [
            *(
                poison
                for by in CONSUMERS
                for poison in of_the_wire(
                    self.hands, ALERTS, f"consumer/{by}", lambda n: self._alert(n, 0), "event_time"
                )
            ),
            *(
                poison
                for by in CONSUMERS
                for poison in of_the_wire(
                    self.hands, ACTS, f"consumer/{by}", lambda n: self._act(n, n), "event_time"
                )
            ),
        ]

    def through(self) -> None:
        """Wait until both consumers have read all."""
        self.hands.sink.flush(120)
        hops = [(name, topic) for name in CONSUMERS for topic in (ALERTS, ACTS)]
        through(self.hands.stack, *hops, timeout=300)

    def verify(self) -> None:
        """Assert that the API tells the last word on each alert, and who has seen it."""
        last = {one["alert_id"]: one for topic, _, one in self.records if topic == ALERTS}
        seen = {one["alert_id"]: one for topic, _, one in self.records if topic == ACTS}
        for alert_id, one in list(last.items())[:: max(1, len(last) // 50)]:
            answer = self.hands.api.get(f"/v1/alerts/{alert_id}").raise_for_status().json()
            assert (answer["state"], answer["message"]) == (one["state"], one["message"])
            by = answer["acknowledged"] and answer["acknowledged"]["by"]
            assert by == (seen[alert_id]["by"] if alert_id in seen else None)

    def stored(self) -> Mapping[str, object]:
        """Return the alerts and acts as Redis has them."""
        names = {
            keys.alert(one["alert_id"]) if topic == ALERTS else keys.act(one["subject"])
            for topic, _, one in self.records
        }
        return {name: self.hands.client.hget(name, "d") for name in names}

    def repeat(self) -> None:
        """Send everything again, the newest first."""
        for topic, key, record in reversed(self.records):
            self.hands.sink.send(topic, key, self.hands.codec.encode(topic, record))
