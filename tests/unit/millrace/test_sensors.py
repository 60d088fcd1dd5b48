"""`millrace sensors`: what it sends and refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from config.errors import UserError
from ingestion.sensors.tables import METADATA
from ingestion.wire.codec import Codec
from millrace import streaming
from millrace.cli import sensors
from tests.unit.ingestion.registries import FakeRegistry
from tests.unit.ingestion.sinks import MemorySink

NOON = 1_764_504_000_000  # 2025-11-30T12:00:00Z
Say = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Run a command and return all that was sent by then."""
    sink, codec = MemorySink([METADATA]), Codec(FakeRegistry().client())

    @contextmanager
    def kafka(client_id: str, *, paced: bool) -> Iterator[tuple[MemorySink, Codec]]:
        yield sink, codec
        sink.flush()

    monkeypatch.setattr(streaming, "kafka", kafka)
    app = typer.Typer()
    app.add_typer(sensors.app, name="sensors")

    def run(line: str) -> list[dict[str, Any]]:
        result = CliRunner().invoke(app, line.split())
        if result.exception is not None:
            raise result.exception
        return [codec.decode(METADATA, value) for _, value in sink.records[METADATA]]

    return run


def test_a_sensor_and_a_location_are_described_from_a_time_on(say: Say) -> None:
    say("sensors describe a --where hall --set maker=Acme --set floor=3 --from 2025-11-30T12:00")
    sensor, location = say("sensors locate hall --place munich --latitude 48.1 --from 2025-11-30")
    assert sensor == {
        "version_id": f"sensor/a@{NOON}",
        "scope": "sensor",
        "name": "a",
        "valid_from": NOON,
        "location": "hall",
        "place": None,
        "latitude": None,
        "longitude": None,
        "attributes": {"maker": "Acme", "floor": "3"},
    }
    assert (location["version_id"], location["place"], location["latitude"]) == (
        f"location/hall@{NOON - 43_200_000}",
        "munich",
        48.1,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("describe a --set maker", "--set takes NAME=TEXT"),
        ("describe a --set place=munich", "--set place: that is a field"),
        ("describe a --from yesterday", "--from: Invalid isoformat"),
        ("locate hall --latitude 91", "latitude is at most 90 degrees"),
    ],
)
def test_what_cannot_be_is_refused(say: Say, line: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        say(f"sensors {line}")
