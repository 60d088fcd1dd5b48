"""`millrace stock` and `millrace simulate stock`: what they send and refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from config.errors import UserError
from ingestion.wire.codec import Codec
from millrace import streaming
from millrace.cli import simulate, stock
from tests.unit.ingestion.registries import FakeRegistry
from tests.unit.ingestion.sinks import MemorySink

MOVEMENTS, SALES = "stock-movements", "shop-events"


class Commands:
    """The commands, with a sink and a registry in memory."""

    def __init__(self) -> None:
        self.sink = MemorySink([MOVEMENTS, SALES])
        self._codec = Codec(FakeRegistry().client())
        self._app = typer.Typer()
        self._app.add_typer(stock.app, name="stock")
        simulate.register(self._app)

    def run(self, line: str) -> Any:
        result = CliRunner().invoke(self._app, line.split())
        if result.exception is not None:
            raise result.exception
        return result.stdout

    def sent(self, topic: str) -> list[dict[str, Any]]:
        return [self._codec.decode(topic, value) for _, value in self.sink.records[topic]]

    @contextmanager
    def kafka(self, client_id: str, *, paced: bool) -> Iterator[tuple[MemorySink, Codec]]:
        yield self.sink, self._codec
        self.sink.flush()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands()
    monkeypatch.setattr(streaming, "kafka", made.kafka)
    return made


def test_what_is_told_is_sent_as_a_movement(commands: Commands) -> None:
    commands.run("stock deliver a 500 --id d1 --at 2026-05-01T12:00:00Z")
    commands.run("stock count a 480 --reason monday")
    commands.run("stock correct a --remove 3")
    commands.run("stock correct a --add 2")
    said = json.loads(commands.run("stock terms a --threshold 50 --lead-days 10 --json"))
    assert said["threshold"] == 50
    found = commands.sent(MOVEMENTS)
    assert [(one["kind"], one["quantity"]) for one in found] == [
        ("delivery", 500),
        ("count", 480),
        ("correction", -3),
        ("correction", 2),
        ("terms", 0),
    ]
    assert (found[0]["movement_id"], found[0]["event_time"]) == ("d1", 1_777_636_800_000)
    assert (found[1]["reason"], found[1]["threshold"]) == ("monday", None)
    assert (found[4]["lead_days"], found[4]["pack"]) == (10, None)
    assert len({one["movement_id"] for one in found}) == 5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stock correct a", "give one of --add and --remove"),
        ("stock correct a --add 1 --remove 1", "give one of --add and --remove"),
        ("stock terms a", "no term was given"),
        ("stock deliver a 5 --at noon", "--at: "),
        ("stock terms a --threshold nan", "threshold"),
    ],
)
def test_what_cannot_be_meant_is_refused(commands: Commands, line: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        commands.run(line)
    assert commands.sent(MOVEMENTS) == []


def test_a_simulated_stock_room_opens_its_books_and_sells(commands: Commands) -> None:
    told = commands.run("simulate stock --items 8 --rate 1000 --events 60 --json")
    produced = json.loads(told)["produced"]
    assert sum(produced.values()) == 60
    assert produced[SALES] == len(commands.sent(SALES)) > 20
    opened = [one["item_id"] for one in commands.sent(MOVEMENTS) if one["kind"] == "delivery"]
    assert set(opened) == {f"item-{number}" for number in range(8)}
