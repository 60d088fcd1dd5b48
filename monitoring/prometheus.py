"""Write Prometheus' configuration: what it scrapes, and whom it tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Flink names a series after its place in the graph: these labels tell nothing more, and change with
# each restart, so that every restart would be new series.
FLINK_NOISE = "tm_id|job_id|task_id|task_attempt_id|task_attempt_num"

# Kafka's own clients tell hundreds of figures of each source and sink.
UNUSED = ".*_(KafkaSourceReader_KafkaConsumer|KafkaProducer)_.*"
LEAST_FLINK_S = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A process that serves metrics at `address`, a host and a port."""

    process: str
    address: str

    @property
    def kind(self) -> str:
        """Return Prometheus' name for processes of its kind."""
        if self.process in ("jobmanager", "taskmanager"):
            return "flink"
        return self.process.partition("-")[0]


def configuration(
    targets: Iterable[Target], alertmanager: str, rules: Path, scrape_s: int
) -> dict[str, Any]:
    """Return `prometheus.yml` as data."""
    kinds: dict[str, list[Target]] = {}
    for one in targets:
        kinds.setdefault(one.kind, []).append(one)
    return {
        "global": {
            "scrape_interval": f"{scrape_s}s",
            "scrape_timeout": f"{scrape_s}s",
            "evaluation_interval": f"{scrape_s}s",
        },
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [_job(kind, several, scrape_s) for kind, several in kinds.items()],
    }


def _job(kind: str, targets: list[Target], scrape_s: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        # Our metrics have a label `job` of their own, a Flink job's name.
        "job_name": kind,
        "honor_labels": True,
        "static_configs": [
            {"targets": [one.address], "labels": {"process": one.process}} for one in targets
        ],
    }
    if kind == "flink":
        body["metric_relabel_configs"] = [
            {"source_labels": ["__name__"], "regex": UNUSED, "action": "drop"},
            {"regex": FLINK_NOISE, "action": "labeldrop"},
        ]
        # A TaskManager takes its time to list thousands of series.
        body["scrape_interval"] = body["scrape_timeout"] = f"{max(LEAST_FLINK_S, scrape_s)}s"
    return body
