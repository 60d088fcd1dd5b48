"""Files that come into a folder, and grow there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from config.settings import settings
from ingestion.replay.run import Summary
from ingestion.sensors.folder import Folder
from millrace.following import once


class Plain:
    """An encoder and a sink in one: records stay as they are."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def record(self, record: dict[str, Any]) -> Any:
        return dict(record)

    def send_all(self, records: Any) -> None:
        self.sent += [(one[1], one[2]["timestamp"]) for one in records]

    def flush(self, patience: float | None = None) -> None:
        pass


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plain]:
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    yield Plain()
    settings.cache_clear()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    return found


def line(sensor: str, time: int) -> str:
    return json.dumps({"sensor_id": sensor, "timestamp": time}) + "\n"


def look(folder: Folder, plain: Plain) -> dict[str, int]:
    told: dict[str, int] = {}

    def tell(file: Path, summary: Summary) -> None:
        told[file.name] = sum(summary.produced.values())

    once(folder, plain, plain, "max", tell)  # type: ignore[arg-type]
    return told


def test_a_file_is_sent_once_it_rests_and_then_what_is_appended(inbox: Path, plain: Plain) -> None:
    folder, file = Folder(inbox), inbox / "a.jsonl"
    file.write_text(line("a", 1) + line("a", 2))
    (inbox / "notes.txt").write_text("no readings")
    assert look(folder, plain) == {}, "it may still be written"
    assert look(folder, plain) == {"a.jsonl": 2}
    assert look(folder, plain) == {}
    with file.open("a") as more:
        more.write(line("a", 3))
    assert look(folder, plain) == {}
    (inbox / "b.csv").write_text("sensor_id,timestamp\nb,9\n")
    assert look(folder, plain) == {"a.jsonl": 1}
    assert look(folder, plain) == {"b.csv": 1}
    again = Folder(inbox)
    assert [look(again, plain), look(again, plain)] == [{}, {}], "after a restart nothing is new"
    assert plain.sent == [("a", 1), ("a", 2), ("a", 3), ("b", 9)]


def test_a_file_written_anew_is_another_and_a_wrong_one_stops_nothing(
    inbox: Path, plain: Plain
) -> None:
    folder, file = Folder(inbox), inbox / "a.jsonl"
    file.write_text(line("a", 1) + line("a", 2))
    (inbox / "0.csv").write_text("colour\nred\n")
    look(folder, plain)
    assert look(folder, plain) == {"a.jsonl": 2}
    file.write_text(line("a", 7))
    look(folder, plain)
    assert look(folder, plain) == {"a.jsonl": 1}
    assert plain.sent[-1] == ("a", 7)
    with pytest.raises(UserError, match="is not a folder"):
        Folder(file)


def test_a_file_with_the_same_header_in_the_place_of_another_is_sent_whole(
    inbox: Path, plain: Plain
) -> None:
    folder, file = Folder(inbox), inbox / "a.csv"
    file.write_text("sensor_id,timestamp\na,1\na,2\n")
    look(folder, plain)
    assert look(folder, plain) == {"a.csv": 2}
    file.write_text("sensor_id,timestamp\na,7\na,8\na,9\n")
    look(folder, plain)
    assert look(folder, plain) == {"a.csv": 3}
    longer = inbox.parent / "longer.csv"
    longer.write_text(file.read_text() + "a,10\n")
    longer.rename(file)
    look(folder, plain)
    assert look(folder, plain) == {"a.csv": 1}, "another file, but it begins as the last one did"


def test_a_quote_that_is_never_closed_stops_no_other_file(inbox: Path, plain: Plain) -> None:
    folder = Folder(inbox)
    head = "sensor_id,timestamp\na,1\n"
    (inbox / "a.csv").write_text(head + '"' + "x,1\n" * 40_000 + "a,2\n")
    (inbox / "b.csv").write_text(head)
    (inbox / "c.csv").write_text('"' + "x" * 200_000)
    look(folder, plain)
    assert look(folder, plain)["b.csv"] == 1
    assert ("a", 2) in plain.sent, "the rows after it are read"
