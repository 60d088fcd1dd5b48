"""The job takes over the state that history makes: no event missing or twice at the seam.

On a stack of its own, under load: Kafka, Flink, the fraud job and the lake's. Every vector, of
before the seam and of behind it, is what the reference engine makes of the whole log at its place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest

from config.errors import RetryableError
from config.settings import ROOT
from ingestion.kafka.topics import admin
from lakehouse import handovers
from lakehouse.catalog import catalog
from lakehouse.listing import size
from millrace.flink import jobs, lineage
from millrace.flink import rest as cluster
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.explained import explained, now
from tests.integration.flow import Flow, under_load
from tests.integration.parts import caught_up, plug, until
from tests.integration.payments import JOB, JOB_GROUP

pytestmark = pytest.mark.long

RATE = 80  # events a second
ENOUGH = 1_500
HAND_OVER = ("backfill", "fraud-features", "--from", "2025-10-09", "--hand-over", "--json")
SECOND = f"{JOB}-history"


@dataclass(frozen=True, slots=True)
class House:
    """The stack, and what the tests ask it."""

    stack: Stack

    def held(self) -> int:
        """Return how many payments bronze has."""
        return size(catalog(self.stack.settings).load_table("bronze.transactions")).rows

    def copies(self) -> list[str]:
        """Return the topics that an attempt has made."""
        known = admin(self.stack.settings.kafka_bootstrap).list_topics(timeout=10).topics
        return [one for one in known if one.startswith(f"{SECOND}-")]

    def lives(self, name: str) -> bool:
        """Return whether Flink runs a job of that name."""
        with suppress(RetryableError):
            return jobs.living(self.stack.settings, name) is not None
        return False

    def killed_when(self, condition: Callable[[], object], what: str) -> None:
        """Begin to hand over, and kill the command once the condition holds."""
        line = (sys.executable, "-m", "millrace.cli.main", *HAND_OVER)
        with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            try:
                until(what, lambda: condition() or process.poll() is not None, 300)
                assert process.poll() is None, f"it had ended before {what}"
            finally:
                process.kill()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    environ = {
        "MILLRACE_GROUPS": "fraud,lake",
        "MILLRACE_LAKE_COMMIT_SECONDS": "2",
        "MILLRACE_FLINK_CHECKPOINT_INTERVAL_MS": "2000",
    }
    with shifted(tmp_path_factory.mktemp("handover"), SECOND_OFFSET, environ) as stack:
        stack.up("jobs", timeout=480)
        yield House(stack)


@pytest.mark.timeout(900)
def test_no_event_is_missing_or_twice_at_the_seam(house: House) -> None:
    """Labels that outran their terminals' payments are in it, too."""
    settings = house.stack.settings
    flow, start = Flow(f"seam-{uuid.uuid4().hex[:8]}"), now(settings)
    with plug(settings) as (sink, codec):
        flow.send(sink, codec, *flow.verdicts_before())
        with under_load(flow, sink, codec, RATE):
            until("the lake has a history", lambda: house.held() > ENOUGH, 300, 1.0)
            told = json.loads(house.stack.cli(*HAND_OVER, timeout=500))
            passed = len(flow.payments)
            until("more has come", lambda: len(flow.payments) > passed + ENOUGH, 120, 0.5)
        sink.flush(60)
        _all_is_explained(house, flow, start)
    handed = told["handed_over"]
    seam = handed["seam"]["transactions"]["0"]
    assert handed["records"] == seam - start["transactions"][0]
    assert told["differing"] == []
    assert told["compared"] > ENOUGH, "what was computed up to the seam is what the job had logged"
    known = catalog(settings).load_table(handovers.NAME).scan().to_arrow().to_pylist()
    assert [(one["partition"], one["seam"]) for one in known] == [(0, seam)]
    _nothing_is_left(house)


@pytest.mark.timeout(900)
def test_an_attempt_that_is_killed_loses_nothing(house: House) -> None:
    """While the second job runs beside the first, the job stands still, and it is submitted."""
    settings = house.stack.settings
    flow, start = Flow(f"kill-{uuid.uuid4().hex[:8]}"), now(settings)

    def stands_still() -> bool:
        return jobs.stopped_on_purpose(settings, JOB) and not house.lives(JOB)

    with plug(settings) as (sink, codec):
        with under_load(flow, sink, codec, RATE):
            before = house.held()
            until("the lake has a history", lambda: house.held() > before + 100, 300, 1.0)
            house.killed_when(partial(house.lives, SECOND), "the second job runs")
            assert house.lives(JOB)
            house.killed_when(stands_still, "the job stands still")
            assert house.copies(), "nobody has cleared up"
            former = lineage.current(settings, JOB)
            house.killed_when(
                lambda: lineage.current(settings, JOB) != former, "the job is submitted"
            )
            told = json.loads(house.stack.cli(*HAND_OVER, timeout=500))
        sink.flush(60)
        _all_is_explained(house, flow, start)
    assert told["differing"] == []
    _nothing_is_left(house)


def _all_is_explained(house: House, flow: Flow, start: dict[str, dict[int, int]]) -> None:
    """Each payment has one vector, of its place, whatever its state came from."""
    settings = house.stack.settings
    until(
        "the job has read the log", lambda: caught_up(settings, JOB_GROUP, "transactions"), 240, 1.0
    )
    with plug(settings) as (_, codec):
        found = explained(settings, codec, start, flow.run)
    assert found.wrong == []
    sent = {one.transaction_id for one in flow.payments}
    assert {one["transaction_id"] for one in found.vectors} == sent
    assert {len(one) for one in found.by_payment().values()} == {1}
    assert found.verdicts > 0
    times = Counter(one["transaction_id"] for one in found.vectors)
    assert {name: count for name, count in times.items() if count > 1} == {}


def _nothing_is_left(house: House) -> None:
    assert house.copies() == []
    assert not any(
        one["name"] == SECOND and one["state"] in cluster.LIVING
        for one in cluster.overview(house.stack.settings)
    )
