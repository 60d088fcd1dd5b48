"""Send a source's batches to a sink at a pace, remembering the position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ingestion.kafka.producer import Sink
from ingestion.replay.batches import Batch
from ingestion.replay.pacing import Pacer, Unpaced
from ingestion.replay.progress import Done, Progress

Report = Callable[[int, int], None]
"""Called with (rows read, rows rejected) so far."""

_REPORT_EVERY = 2000


@dataclass(slots=True)
class Summary:
    """The outcome of a run.

    `produced` counts records by topic; `rows` and `rejected` count from the source's beginning.
    """

    produced: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    rejected: int = 0
    resumed_at: int = 0
    rejected_file: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON types."""
        return {
            **asdict(self),
            "rejected_file": str(self.rejected_file) if self.rejected_file else None,
        }


def run(
    batches: Iterable[Batch], sink: Sink, pacer: Pacer, progress: Progress | None, report: Report
) -> Summary:
    """Send every batch that an earlier, interrupted run did not send.

    Delivery is at least once and in order, with a barrier after each batch.

    Without `progress` nothing is remembered. Raise DeliveryError; the batches acknowledged by then
    are remembered.
    """
    before = progress.load() if progress else Done()
    if progress and not before.rows:
        progress.start()
    produced: Counter[str] = Counter()
    done = before
    for batch in batches:
        if batch.rows <= before.rows:
            report(batch.rows, before.rejected)
            continue
        _send(batch, sink, pacer, produced, partial(_report, report, done))
        sink.flush()
        done = Done(batch.rows, done.rejected + len(batch.rejected))
        if progress:
            progress.save(done, batch.rejected)
        report(done.rows, done.rejected)
    if progress:
        progress.finish()
    kept = progress.rejected_file if progress and done.rejected else None
    return Summary(dict(produced), done.rows, done.rejected, before.rows, kept)


def _report(report: Report, done: Done, count: int) -> None:
    report(done.rows + count, done.rejected)


def _send(
    batch: Batch, sink: Sink, pacer: Pacer, produced: Counter[str], report: Callable[[int], None]
) -> None:
    if isinstance(pacer, Unpaced):
        sink.send_all(batch.records)
        produced.update(record.topic for record in batch.records)
        return
    rows = 0
    for record in batch.records:
        pacer.wait(record.due, row=record.row)
        rows += record.row
        if record.row and not rows % _REPORT_EVERY:
            report(rows)
        sink.send(record.topic, record.key, record.value)
        produced[record.topic] += 1
