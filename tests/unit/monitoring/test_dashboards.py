"""Dashboards: what panels ask can be read, is of metrics that there are, and is in the JSON."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.metrics import metrics
from config.products import known_groups
from config.settings import ROOT
from monitoring.dashboards import dashboards
from monitoring.dashboards.check import findings
from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number
from tests.unit.modules import script

NAME = re.compile(r"\b(?:[a-z]+_\w+|up|ALERTS)\b")
LABELS = re.compile(r"\{[^}]*\}|\bby \([^)]*\)")
FUNCTIONS = {"histogram_quantile"}
# Series of others: Flink's reporter, the node exporter, Prometheus and its client.
FOREIGN = {
    *("up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes"),
    *("node_load1", "node_load5", "node_cpu_seconds_total", "node_memory_MemTotal_bytes"),
    *("node_memory_MemAvailable_bytes", "node_disk_written_bytes_total"),
    *("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    *("node_network_receive_bytes_total", "node_network_transmit_bytes_total"),
    *("flink_jobmanager_numRunningJobs", "flink_jobmanager_numRegisteredTaskManagers"),
    "flink_jobmanager_taskSlotsAvailable",
    *(
        f"flink_jobmanager_job_{name}"
        for name in (
            *("numRestarts", "lastCheckpointDuration", "lastCheckpointFullSize"),
            *("numberOfCompletedCheckpoints", "numberOfFailedCheckpoints"),
        )
    ),
    *(
        f"flink_taskmanager_{name}"
        for name in (
            *("job_task_numRecordsInPerSecond", "job_task_numRecordsOutPerSecond"),
            *("job_task_backPressuredTimeMsPerSecond", "job_task_busyTimeMsPerSecond"),
            *("job_task_operator_pendingRecords", "Status_JVM_CPU_Load"),
            *("Status_JVM_Memory_Heap_Used", "Status_JVM_Memory_Heap_Max"),
        )
    ),
}


def _queries() -> list[str]:
    return [query.expr for one in dashboards() for panel in one.panels for query in panel.queries]


def test_panels_ask_of_metrics_that_there_are() -> None:
    known = {series for one in metrics().values() for series in one.series} | FOREIGN
    asked = {name for expr in _queries() for name in NAME.findall(LABELS.sub("", expr))} - FUNCTIONS
    assert asked <= known
    assert asked >= FOREIGN


def test_every_metric_of_ours_in_a_label_filter_is_one_that_it_has() -> None:
    for expr in _queries():
        for name, inside in re.findall(r"(\w+)\{([^}]*)\}", expr):
            for label in re.findall(r"(\w+)(?:=~|!~|!=|=)", inside):
                one = metrics().get(re.sub(r"_(bucket|sum|count)$", "", name))
                assert one is None or label in {*one.labels, "le"}, expr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_prometheus_can_read_what_panels_ask(tmp_path: Path) -> None:
    rules = [{"record": f"r{n}", "expr": expr} for n, expr in enumerate(_queries())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    line = ("promtool", "check", "rules", "--lint=none", str(file))
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_are_given_once_and_groups_are_those_that_there_are() -> None:
    every = dashboards()
    assert len({one.name for one in every}) == len(every)
    assert {one.needs for one in every} <= set(known_groups())
    for one in every:
        titles = [(row, panel.title) for row, panels in one.rows.items() for panel in panels]
        assert len(set(titles)) == len(titles)
    assert "sensors" not in {one.name for one in dashboards({"core", "fraud"})}


def test_grafanas_files_are_those_of_the_declarations() -> None:
    pytest.importorskip("grafana_foundation_sdk")
    wanted = script("dashboards").outputs()
    assert {path: path.read_text() for path in wanted} == wanted


@pytest.mark.parametrize("one", dashboards(), ids=lambda one: one.name)
def test_grafana_is_asked_the_same(one: Dashboard) -> None:
    file = ROOT / "monitoring" / "grafana" / "dashboards" / f"{one.name}.json"
    document: dict[str, Any] = json.loads(file.read_text())
    shown = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in shown] == [panel.title for panel in one.panels]
    assert [target["expr"] for panel in shown for target in panel["targets"]] == [
        query.expr for panel in one.panels for query in panel.queries
    ]
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in shown)


def test_a_panel_without_series_is_wrong_unless_it_says_why() -> None:
    answers = {"a": [1.0], "b": [], "c": [], "d": [math.nan]}
    panels = (
        number("A", "a"),
        number("B", "b"),
        lines("C", "c", "{{x}}", empty="nothing came"),
        Panel("D", (Query("a"), Query("d"))),
    )
    found = list(findings([Dashboard("n", "N", {"row": panels})], answers.__getitem__))
    assert [(one.panel, one.series, one.wrong) for one in found] == [
        ("A", 1, False),
        ("B", 0, True),
        ("C", 0, False),
        ("D", 1, False),
        ("D", 0, True),
    ]
