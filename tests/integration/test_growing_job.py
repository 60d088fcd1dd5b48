"""A job that grows keeps its state and its offsets, on real Kafka; and a rollback stays one.

A product outside this repository has a job that counts visits by visitor. Stopped with a savepoint,
it goes on with a second feature set and a second INSERT, both put before those that were there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.files import write
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.flink import jobs, submission
from millrace.flink import rest as cluster
from millrace.flink.submission import Wanted
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.parts import read

JOB = "visits"
SOURCE, OLD, NEW = "visits", "visitor-counts", "page-counts"
VISITORS, PAGES, VISITS = 5, 7, 600

PRODUCT = """
name: visits
group: visits
jobs: [visits_product.visits]
"""
TOPICS = """
topics:
  visits: {key: visitor, schema: Visit, partitions: 2}
  visitor-counts: {key: visitor, schema: VisitorCount, partitions: 1}
  page-counts: {key: page, schema: PageCount, partitions: 1}
"""
RECORD = """
{"type": "record", "name": "%s", "namespace": "visits", "doc": "A visit.", "fields": [%s]}
"""
FIELDS = (
    '{"name": "visit_id", "type": "string", "doc": "which"}',
    '{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "doc": "when"}',
    '{"name": "visitor", "type": "string", "doc": "who"}',
    '{"name": "page", "type": "string", "doc": "what"}',
)
COUNT = '{"name": "%s", "type": ["null", "long"], "default": null, "doc": "how many"}'
TOPOLOGY = '''
"""Visits counted, by visitor and, once it has grown, by page."""

import json

from domain.features.declaration import DAY, Feature, FeatureSet, Window
from processing.tables import create_views, sink_ddl, source_ddl, unreadable

INPUTS = (("visit_id", "STRING"), ("at", "TIMESTAMP"), ("visitor", "STRING"), ("page", "STRING"))
OPTIONS = {"parallelism.default": "2"}


def counted(name, key):
    return FeatureSet(
        name, name, key, "at", INPUTS, (Window("9d", DAY, 9),),
        (Feature(f"{name}_visits", "count", "9d"),), id="visit_id",
    )


def rolling(features, table):
    spec = json.dumps(features.spec())
    return (
        f"SELECT * FROM rolling(`in` => TABLE {table} PARTITION BY ({features.key}), "
        f"spec => '{spec}', uid => 'visits-{features.name}')"
    )


def topology(environment):
    for ddl in (source_ddl("visits", group="visits"), *map(sink_ddl, SINKS)):
        environment.execute_sql(ddl)
    create_views(environment, VIEWS)
    statements = environment.create_statement_set()
    for insert in INSERTS:
        statements.add_insert_sql(insert)
    statements.add_insert_sql("INSERT INTO quarantine " + unreadable("visits", "visits"))
    return statements


READABLE = "SELECT visit_id, `at`, visitor, page FROM visits WHERE unreadable_reason IS NULL"
COUNTS = "SELECT visit_id, `at`, visitor, page, visitor_visits FROM by_visitor"
'''
BEFORE = """
SINKS = ("visitor-counts", "quarantine")
VIEWS = {"readable": READABLE, "by_visitor": rolling(counted("visitor", "visitor"), "readable")}
INSERTS = (f"INSERT INTO visitor_counts {COUNTS}",)
"""
# The new set comes first, and a second call of `rolling` behind the old one.
AFTER = """
SINKS = ("page-counts", "visitor-counts", "quarantine")
VIEWS = {
    "readable": READABLE,
    "by_page": rolling(counted("page", "page"), "readable"),
    "by_visitor": rolling(counted("visitor", "visitor"), "readable"),
    "kept": "SELECT visit_id, `at`, visitor, page FROM by_visitor WHERE visitor_visits > 0",
    "again": rolling(counted("again", "page"), "kept"),
}
INSERTS = (
    "INSERT INTO page_counts SELECT b.visit_id, b.`at`, b.visitor, b.page, page_visits, "
    "CAST(NULL AS BIGINT) FROM by_page AS b",
    "INSERT INTO page_counts SELECT visit_id, `at`, visitor, page, CAST(NULL AS BIGINT), "
    "again_visits FROM again",
    f"INSERT INTO visitor_counts {COUNTS}",
)
"""


@dataclass(frozen=True, slots=True)
class Visits:
    """The product's folder and the stack it runs on."""

    stack: Stack
    folder: Path

    def job_is(self, grown: str) -> None:
        write(self.folder / "visits_product" / "visits.py", TOPOLOGY + grown)

    def send(self, start: int, end: int) -> None:
        """Send the visits of those numbers, one a second, visitors and pages in turn."""
        with Registry(self.stack.settings.registry_url) as registry:
            codec = Codec(registry)
            with KafkaSink(self.stack.settings.kafka_bootstrap, client_id="tests") as sink:
                for n in range(start, end):
                    visit = _visit(n)
                    value = codec.encode(SOURCE, visit)
                    sink.send(SOURCE, visit["visitor"], value)

    def read(self, topic: str) -> list[dict[str, Any]]:
        with Registry(self.stack.settings.registry_url) as registry:
            return read(self.stack.settings, topic, Codec(registry))

    def runs(self) -> bool:
        return any(job.name == JOB and job.running for job in cluster.listing(self.stack.settings))


def _visit(n: int) -> dict[str, Any]:
    return {
        "visit_id": f"v{n}",
        "at": 1_750_000_000_000 + n * 1_000,
        "visitor": f"visitor {n % VISITORS}",
        "page": f"page {n % PAGES}",
    }


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    """A stack with Kafka, Flink and the keeper of the product's one job."""
    folder = tmp_path_factory.mktemp("visits")
    counts = {"Visit": (), "VisitorCount": ("visitor_visits",)}
    counts["PageCount"] = ("page_visits", "again_visits")
    for record, names in counts.items():
        fields = ", ".join([*FIELDS, *(COUNT % name for name in names)])
        write(folder / "schema" / f"{record}.avsc", RECORD % (record, fields))
    write(folder / "product.yaml", PRODUCT)
    write(folder / "topics.yaml", TOPICS)
    write(folder / "visits_product" / "__init__.py", "")
    environ = {
        "MILLRACE_PRODUCTS_PATH": str(folder),
        "MILLRACE_GROUPS": "core,visits",
        "MILLRACE_FLINK_CHECKPOINT_INTERVAL_MS": "1000",
    }
    state = tmp_path_factory.mktemp("state")
    with shifted(state, offset=SECOND_OFFSET, environ=environ) as stack:
        made = Visits(stack, folder)
        made.job_is(BEFORE)
        stack.up("jobs")
        yield made


def _wait(visits: Visits, topic: str, records: int) -> list[dict[str, Any]]:
    visits.stack.wait(lambda: len(visits.read(topic)) >= records, f"{records} in {topic}")
    return visits.read(topic)


def _in_order(rows: list[dict[str, Any]], key: str, count: str) -> dict[str, list[int]]:
    """The counts of each key, by the number of the visit."""
    found: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda one: int(one["visit_id"][1:])):
        found.setdefault(row[key], []).append(row[count])
    return found


def _numbers(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(int(row["visit_id"][1:]) for row in rows)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_added_feature_set_begins_and_the_others_go_on(visits: Visits) -> None:
    half, settings = VISITS // 2, visits.stack.settings
    visits.send(0, half)
    _wait(visits, OLD, half)
    savepoint = jobs.stop(settings, JOB)

    visits.job_is(AFTER)
    with jobs.exclusive(settings, JOB):
        submission.submit(settings, Wanted(JOB, savepoint))
    visits.send(half, VISITS)
    old, new = _wait(visits, OLD, VISITS), _wait(visits, NEW, 2 * half)

    assert _numbers(old) == list(range(VISITS)), "each was read once"
    per_visitor = _in_order(old, "visitor", "visitor_visits")
    assert all(counts == list(range(1, len(counts) + 1)) for counts in per_visitor.values())
    assert len(per_visitor) == VISITORS

    for count in ("page_visits", "again_visits"):
        rows = [row for row in new if row[count] is not None]
        assert _numbers(rows) == list(range(half, VISITS)), "offsets went on where they were"
        told = Counter((row["page"], row[count]) for row in rows)
        pages = Counter(row["page"] for row in rows)
        # Two partitions meet at a page in whichever order; each count comes once all the same.
        assert told == Counter((page, n) for page, m in pages.items() for n in range(1, m + 1))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_rollback_survives_the_jobmanager(visits: Visits) -> None:
    settings = visits.stack.settings
    savepoint = jobs.stop(settings, JOB)
    with jobs.exclusive(settings, JOB):
        submission.submit(settings, Wanted(JOB, savepoint))
    visits.stack.wait(lambda: _checkpoints(visits) > 1, "checkpoints of the line to be left")
    jobs.stop(settings, JOB)
    with jobs.exclusive(settings, JOB):
        job_id = submission.submit(settings, Wanted(JOB, savepoint))
    visits.stack.kill("jobmanager")
    visits.stack.wait(
        lambda: visits.runs() and _id(visits) != job_id, "the keeper to bring it back"
    )
    found = cluster.rest(settings, f"/jobs/{_id(visits)}/checkpoints")["latest"]["restored"]
    restored = Path(found["external_path"].removeprefix("file:"))
    assert restored == savepoint or job_id in restored.parts, "of its own line"


def _id(visits: Visits) -> str:
    found = cluster.overview(visits.stack.settings)
    return next((str(job["jid"]) for job in found if job["name"] == JOB), "")


def _checkpoints(visits: Visits) -> int:
    found = cluster.listing(visits.stack.settings)
    return next((job.checkpoints for job in found if job.name == JOB), 0)
