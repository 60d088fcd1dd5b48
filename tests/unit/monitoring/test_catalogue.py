"""Every metric is declared once, in config/metrics.yaml, and served as it is declared."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from confluent_kafka.admin import OffsetSpec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from config import instruments
from config.errors import UserError
from config.metrics import metrics
from config.settings import ROOT, Settings
from lakehouse.fraud.watch import Watch
from lakehouse.quality.results import Result, export
from millrace.flink import keeper
from monitoring.exporter import kafka, redis, registry
from monitoring.exporter.parts import Part
from monitoring.rules import alerts, records
from orchestration.shelf.distribution import Reference
from serving.alerts.consumer import Alerts
from serving.alerts.sender import Sender
from serving.anomalies.meter import Meter as Windows
from serving.api import metrics as api
from serving.business.figures import Figures
from serving.consumers.drift import Drift
from serving.consumers.metrics import Metrics
from serving.fraud.consumer import Fraud
from serving.fraud.ruling import Rulings
from serving.inventory.consumer import Inventory
from serving.recommendations.consumer import Recommendations
from serving.sensors.meter import Meter
from tests.unit.serving.test_recommendations import BOUNDS

OF_THE_CLIENT = ("process_", "python_")
MAKERS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
MAKERS |= {f"{name}MetricFamily" for name in MAKERS}
OURS = re.compile(r"(?<![:\w])millrace_\w+")
KEPT = re.compile(r"\bconsumer:\w+:\w+")
FOLDERS = ("ingestion", "lakehouse", "millrace", "monitoring", "orchestration", "serving")


def _done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


class Admin:
    """A broker with a topic, at whose end a consumer and a job lack records."""

    def list_topics(self, timeout: float) -> Any:
        partition = SimpleNamespace(isrs=[1], replicas=[1, 2])
        topics = {"t": SimpleNamespace(topic="t", partitions={0: partition})}
        return SimpleNamespace(topics=topics, brokers={1: "b"})

    def list_offsets(self, asked: Any, request_timeout: float) -> Any:
        first = type(OffsetSpec.earliest())
        return {
            place: _done(SimpleNamespace(offset=0 if isinstance(spec, first) else 10))
            for place, spec in asked.items()
        }

    def list_consumer_groups(self, request_timeout: float) -> Any:
        found = [SimpleNamespace(group_id=name) for name in ("millrace-fraud", "millrace-job-1")]
        return _done(SimpleNamespace(valid=found))

    def list_consumer_group_offsets(self, asked: Any, request_timeout: float) -> Any:
        place = SimpleNamespace(topic="t", partition=0, offset=7, error=None)
        return {one.group_id: _done(SimpleNamespace(topic_partitions=[place])) for one in asked}


INFO = dict.fromkeys(
    (
        *("maxmemory", "used_memory", "connected_clients", "uptime_in_seconds", "evicted_keys"),
        *("total_commands_processed", "keyspace_hits", "keyspace_misses"),
    ),
    1,
)


def _exporter(made: CollectorRegistry) -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, stream=httpx.ByteStream(b'["a", "b"]'))
    )
    client = httpx.Client(transport=transport, base_url="http://registry")
    looks: dict[str, Callable[[], Any]] = {
        "kafka": kafka.Kafka(Admin(), ("job",)).look,
        "redis": lambda: redis.look(SimpleNamespace(info=lambda _: INFO)),  # type: ignore[arg-type]
        "registry": lambda: registry.look(client),
    }
    for name, look in looks.items():
        part = Part(name, look, 1)
        part.turn()
        assert next(iter(part.collect())).samples[0].value == 1
        made.register(part)


def _served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Yield who serves, and what `/metrics` answers."""
    challenger = SimpleNamespace(version="m2")
    shelf: Any = SimpleNamespace(
        held={"rows": "m1"}, challenger=challenger, challenger_refused=None
    )
    rules: Any = SimpleNamespace(declared=SimpleNamespace(version="1"), refused=0)
    consumer = Metrics("c")
    products = (
        Figures(),
        Meter(),
        Windows(),
        Inventory(),
        Alerts(),
        Sender([], lambda: 0),
        Recommendations(BOUNDS),
        Fraud(shelf, rulings=Rulings(rules)),
    )
    for one in products:
        one.register(consumer.registry)
    drift = Drift("c", least=1)
    rows = np.zeros((1, 1))
    drift.take("m1", Reference.measure(("a", "score"), np.zeros((1, 2))), rows, [0.0])
    consumer.registry.register(drift)
    exporter = instruments.registry()
    _exporter(exporter)
    for name, made in {
        "consumers": consumer.registry,
        "api": api.Metrics().registry,
        "jobs": keeper.Metrics(("job",)).registry,
        "exporter": exporter,
        "features-verified": Watch(Settings(state_dir=tmp_path)).registry,
    }.items():
        yield name, generate_latest(made).decode()
    file = tmp_path / "checks.prom"
    export([Result("s", "c", "f", "error", True, 1, 0)], file, datetime.now(UTC))
    yield "checks", file.read_text()


def _families(text: str) -> Iterator[Family]:
    for one in text_string_to_metric_families(text):
        # The client adds a gauge of when each counter began.
        if not one.name.startswith(OF_THE_CLIENT) and not one.name.endswith("_created"):
            yield one


def _name(one: Family) -> str:
    return f"{one.name}_total" if one.type == "counter" else one.name


def test_what_is_served_is_what_is_declared(tmp_path: Path) -> None:
    served = {_name(one): one for _, text in _served(tmp_path) for one in _families(text)}
    declared = metrics()
    assert set(served) == set(declared)
    for name, one in served.items():
        assert (one.type, one.documentation) == (declared[name].type, declared[name].meaning)
        for sample in one.samples:
            assert set(sample.labels) - {"le"} == set(declared[name].labels), name


def test_a_consumer_that_lacks_records_is_told_from_a_job_that_does() -> None:
    made = CollectorRegistry()
    _exporter(made)
    for group, kind in (("millrace-fraud", "consumer"), ("millrace-job-1", "job")):
        labels = {"group": group, "kind": kind, "topic": "t", "partition": "0"}
        assert made.get_sample_value("millrace_kafka_group_lag_records", labels) == 3
    assert made.get_sample_value("millrace_kafka_underreplicated_partitions") == 1


@pytest.mark.parametrize("name", metrics())
def test_a_name_is_by_the_conventions(name: str) -> None:
    one = metrics()[name]
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
    assert name.endswith("_total") == (one.type == "counter")
    if one.unit in ("seconds", "bytes"):
        assert name.removesuffix("_total").endswith(f"_{one.unit}")
    for unit, wrong in (("seconds", "_ms|_millis|_minutes"), ("bytes", "_kb|_mb|_mib")):
        assert not re.search(rf"({wrong})(_|$)", name), f"use {unit}"
    assert one.meaning.endswith(".")
    assert not {"le", "quantile", "process", "instance"} & set(one.labels)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_promtool_finds_nothing_to_mend(tmp_path: Path) -> None:
    for who, text in _served(tmp_path):
        line = ("promtool", "check", "metrics")
        done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        lines = [line for line in told.splitlines() if not line.startswith(OF_THE_CLIENT)]
        assert lines == [], who


def test_nobody_makes_a_metric_that_is_not_declared() -> None:
    found = []
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_")
            for alias in node.names
        }
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}: declare it in config/metrics.yaml"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            if isinstance(node.func, ast.Name)
            if node.func.id in imported & MAKERS
        ]
    assert found == []


def test_rules_name_metrics_that_are_declared() -> None:
    known = {series for one in metrics().values() for series in one.series}
    kept = {one.name for one in records()}
    rules = {one.name: one.expr for one in alerts()} | {one.name: one.expr for one in records()}
    for rule, expr in rules.items():
        assert set(OURS.findall(expr)) <= known, rule
        assert set(KEPT.findall(expr)) <= kept, rule


def test_a_metric_that_is_not_declared_or_is_of_another_type_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        instruments.counter("millrace_unheard_of_total")
    with pytest.raises(TypeError, match="declared as a gauge, not as a counter"):
        instruments.counter("millrace_kafka_up")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: {m_total: {type: sum, unit: one, meaning: A.}}", "a.m_total.type"),
        ("a: {m: {type: gauge, unit: one}}", "a.m.meaning"),
        (
            "a: {m: {type: gauge, unit: one, meaning: A.}}\n"
            "b: {m: {type: gauge, unit: one, meaning: A.}}",
            "m is declared twice",
        ),
        ("[]", "not a mapping"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "metrics.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=re.escape(told)):
        metrics(file)
