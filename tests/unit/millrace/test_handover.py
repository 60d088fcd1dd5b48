"""What an attempt to hand over goes on from, and what it says if it fails; there is no cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import RetryableError
from config.files import write
from config.settings import Settings
from ingestion.kafka.copies import Offsets
from millrace.flink import handover, jobs, lineage
from millrace.flink import rest as cluster
from millrace.flink.handover import Handover
from millrace.stack.layout import Layout

JOB, TOPIC, SEAM = "fraud_features", "transactions", 140


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The job has been stopped with a savepoint; its group has committed up to the seam."""
    local = Settings(state_dir=tmp_path)

    def committed(_client: Any, group: str, topic: str, _partitions: int) -> Offsets:
        assert (group, topic) == (f"millrace-{JOB}", TOPIC)
        return {0: SEAM}

    monkeypatch.setattr(cluster, "overview", lambda _settings: [])
    monkeypatch.setattr(handover, "committed", committed)
    layout = Layout.of(local)
    write(layout.jobs / f"{JOB}.stopped", "")
    write(layout.savepoints / JOB / "savepoint-1" / "_metadata", "")
    assert jobs.stopped_on_purpose(local, JOB)
    return local


def _attempt(local: Settings) -> Handover:
    return Handover(local, JOB, (TOPIC,), {TOPIC: {0: 0}})


def test_a_job_that_stands_still_goes_on_where_its_savepoint_says(
    stopped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "positions", lambda *_: {TOPIC: {0: 150}})
    assert _attempt(stopped)._sure() == {TOPIC: {0: 150}}


def test_a_kill_while_the_job_is_submitted_leaves_the_seam_where_it_was(
    stopped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next attempt would copy nothing, and the job begin with an empty state."""
    given = Layout.of(stopped).savepoints / f"{JOB}-history" / "savepoint-2"
    write(given / "_metadata", "")
    lineage.begin(stopped, JOB, given, drops_state=True)

    def positions(_layout: Layout, state: Path) -> handover.Seam:
        assert state == given
        return {f"{JOB}-history-1-{TOPIC}": {0: 90}}

    monkeypatch.setattr(handover, "positions", positions)
    assert _attempt(stopped)._sure() == {TOPIC: {0: SEAM}}


def test_a_failure_says_that_the_job_stands_still_though_nothing_can_be_removed(
    stopped: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise RetryableError("Kafka is away")

    monkeypatch.setattr(Handover, "_run", away)
    monkeypatch.setattr(Handover, "_clear", away)
    with pytest.raises(RetryableError, match=f"away; {JOB} stands still: type it again"):
        _attempt(stopped).run(lambda *_: iter(()))
