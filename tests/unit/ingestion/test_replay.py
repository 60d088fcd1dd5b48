"""Replaying batches: barriers, interruption, resumption, rejected rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import UserError
from ingestion.kafka.producer import DeliveryError
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.replay.pacing import Unpaced
from ingestion.replay.progress import Done, Progress, fingerprint
from ingestion.replay.run import run
from tests.unit.ingestion.sinks import MemorySink


class Remembering:
    """A pacer that remembers when it was asked."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def wait(self, event_time: int, *, row: bool = True) -> None:
        self.times.append(event_time)


class Interrupt:
    """A pacer that presses Ctrl-C at an event."""

    def __init__(self, event_time: int) -> None:
        self._at = event_time

    def wait(self, event_time: int, *, row: bool = True) -> None:
        if event_time == self._at:
            raise KeyboardInterrupt


def batches() -> Iterator[Batch]:
    """Three batches of three rows, the last of each rejected."""
    for start in (0, 3, 6):
        records = [Record("t", f"k{row}", str(row).encode(), row) for row in (start, start + 1)]
        rejected = [Rejected(start + 2, "bad, really", f"row {start + 2}")]
        yield Batch(
            [*records, Record("labels", "m", b"verdict", start + 1, row=False)], rejected, start + 3
        )


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink(["t", "labels"])


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path, "some file.csv", "0123")


def quiet(rows: int, rejected: int) -> None:
    """Nobody looks."""


def rows_kept(progress: Progress) -> list[int]:
    with progress.rejected_file.open(newline="") as file:
        return [int(line["row"]) for line in csv.DictReader(file)]


def test_everything_is_sent_once_with_a_barrier_after_each_batch(
    sink: MemorySink, progress: Progress
) -> None:
    reports: list[tuple[int, int]] = []
    pace = Remembering()

    summary = run(batches(), sink, pace, progress, lambda *seen: reports.append(seen))

    assert summary.produced == {"t": 6, "labels": 3}
    assert (summary.rows, summary.rejected, summary.resumed_at) == (9, 3, 0)
    assert sink.flushes == [3, 6, 9]
    assert pace.times == [0, 1, 1, 3, 4, 4, 6, 7, 7]
    assert reports == [(3, 1), (6, 2), (9, 3)]
    assert rows_kept(progress) == [2, 5, 8]
    assert summary.as_dict()["rejected_file"] == str(progress.rejected_file)


def test_an_interrupted_replay_goes_on_at_the_unfinished_batch(
    sink: MemorySink, progress: Progress
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(batches(), sink, Interrupt(7), progress, quiet)
    assert progress.load() == Done(6, 2)

    summary = run(batches(), sink, Unpaced(), progress, quiet)

    assert summary.produced == {"t": 2, "labels": 1}
    assert (summary.rows, summary.rejected, summary.resumed_at) == (9, 3, 6)
    values = [value for _, value in sink.records["t"]]
    # At least once: row 6 was sent before the interruption, and again.
    assert values == [b"0", b"1", b"3", b"4", b"6", b"6", b"7"]
    assert rows_kept(progress) == [2, 5, 8]


def test_a_finished_replay_begins_anew(sink: MemorySink, progress: Progress) -> None:
    for _ in range(2):
        summary = run(batches(), sink, Unpaced(), progress, quiet)
        assert (summary.rows, summary.resumed_at, summary.rejected) == (9, 0, 3)

    assert len(sink.records["t"]) == 12
    assert rows_kept(progress) == [2, 5, 8]


def test_what_was_not_delivered_is_not_remembered(progress: Progress) -> None:
    with pytest.raises(DeliveryError):
        run(batches(), MemorySink(["t", "labels"], lost=[b"k4"]), Unpaced(), progress, quiet)

    assert progress.load() == Done(3, 1)


def test_without_progress_nothing_is_kept(sink: MemorySink, tmp_path: Path) -> None:
    summary = run(batches(), sink, Unpaced(), None, quiet)

    assert summary.rejected == 3
    assert summary.rejected_file is None
    assert list(tmp_path.iterdir()) == []


def test_rejected_rows_keep_reason_and_content(sink: MemorySink, progress: Progress) -> None:
    run(batches(), sink, Unpaced(), progress, quiet)

    with progress.rejected_file.open(newline="") as file:
        first = next(csv.DictReader(file))
    assert first == {"row": "2", "reason": "bad, really", "content": "row 2"}


def test_another_source_has_another_place(tmp_path: Path) -> None:
    one, other = Progress(tmp_path, "a", "1"), Progress(tmp_path, "a", "2")
    one.save(Done(5, 0), [])

    assert one.load() == Done(5, 0)
    assert other.load() == Done()
    one.start()
    assert one.load() == Done()


def test_damaged_progress_is_told(tmp_path: Path) -> None:
    progress = Progress(tmp_path, "a", "1")
    progress.save(Done(5, 0), [])
    (tmp_path / "replay" / "a-1.json").write_text(json.dumps({"rows": 5})[:-1])

    with pytest.raises(UserError, match="--restart"):
        progress.load()


def test_a_fingerprint_is_of_content_order_and_parameters(tmp_path: Path) -> None:
    for name, content in (("a", "x" * 3_000_000), ("b", "y"), ("c", "y")):
        (tmp_path / name).write_text(content)
    a, b, c = (tmp_path / name for name in "abc")

    assert fingerprint([a, b]) == fingerprint([a, c])
    marks = [fingerprint([a, b]), fingerprint([b, a]), fingerprint([a]), fingerprint([a, b], "7d")]
    assert len(set(marks)) == 4
