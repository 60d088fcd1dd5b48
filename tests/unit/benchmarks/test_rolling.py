"""Turns of the rolling benchmark: who runs when, which turn counts, whose outputs are compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import rolling
from benchmarks.agree import DisagreementError
from benchmarks.kafka import Topics
from benchmarks.rolling import agreement, summary
from benchmarks.workload import Workload
from config.settings import Settings

OUTPUT = [bytes(5) + bytes([4]) + identity + b"values" for identity in (b"t0", b"t1")]


class FakeTopics(Topics):
    """Outputs by topic, as the broker would give them."""

    def __init__(self, **outputs: list[bytes]) -> None:
        self.outputs = outputs
        self.deleted: list[str] = []

    def read(
        self, name: str, since: dict[int, int] | None = None, until: dict[int, int] | None = None
    ) -> Iterator[tuple[bytes, int]]:
        return ((value, 0) for value in self.outputs[name])

    def delete(self, *names: str) -> None:
        self.deleted += names


def rows(*speeds: int) -> list[dict[str, Any]]:
    return [{"events_per_cpu_second": speed} for speed in speeds]


def test_our_median_counts_and_the_better_turn_of_each_peer() -> None:
    found = summary({"millrace": rows(50, 90, 60), "quix": rows(20, 10), "bytewax": rows(8, 12)})
    counted = {name: row["events_per_cpu_second"] for name, row in found["contestants"].items()}
    assert counted == {"millrace": 60, "quix": 20, "bytewax": 12}
    assert (found["events_per_cpu_second"], found["times_the_better_peer"]) == (60, 3.0)


def test_the_ratio_of_turns_is_that_of_our_slowest_and_fastest_to_the_better_peer() -> None:
    found = summary({"millrace": rows(50, 90, 60), "quix": rows(20, 10), "bytewax": rows(8, 12)})
    assert found["ratio_of_turns"] == [2.5, 4.5]
    assert found["turns"] == {"millrace": [50, 90, 60], "quix": [20, 10], "bytewax": [8, 12]}


def test_every_output_is_compared_with_the_first() -> None:
    topics = FakeTopics(a=OUTPUT, b=OUTPUT[::-1], c=OUTPUT)
    outputs = {"millrace 1": "a", "quix 1": "b", "quix 2": "c"}
    assert agreement(topics, outputs) == {"quix 1": 2, "quix 2": 2}
    topics.outputs["c"] = OUTPUT[:1]
    with pytest.raises(DisagreementError, match="quix 2 lacks 1 of 2 events, t1 for instance"):
        agreement(topics, outputs)


def test_the_peers_turns_are_mirrored_between_ours_and_every_turn_has_an_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []
    topics = FakeTopics()

    def turn(_place: object, name: str, _events: int) -> tuple[dict[str, Any], str]:
        ran.append(name)
        topics.outputs[f"topic-{len(ran)}"] = OUTPUT
        return {"events_per_cpu_second": 10}, f"topic-{len(ran)}"

    monkeypatch.setattr(rolling, "stage", lambda _: rolling.Stage(Settings(), topics, "in", 1))
    monkeypatch.setattr(rolling, "warm_up", lambda events: None)
    monkeypatch.setattr(rolling, "turn", turn)
    found = rolling.run(Workload(events=2))
    assert ran == ["millrace", "quix", "bytewax", "millrace", "bytewax", "quix", "millrace"]
    others = ["quix 1", "bytewax 1", "millrace 2", "bytewax 2", "quix 2", "millrace 3"]
    assert found["events_that_agree"] == dict.fromkeys(others, 2)
    assert found["events"] == 2
    assert sorted(topics.deleted) == sorted(topics.outputs)
