"""Look at the schema registry."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from prometheus_client.metrics_core import Metric

from monitoring.exporter.parts import gauge


def look(client: httpx.Client) -> Sequence[Metric]:
    """Return the metrics. Raise HTTPError if it does not answer."""
    answer = client.get("subjects").raise_for_status()
    return [
        gauge("millrace_registry_subjects", "Subjects with schemas.", len(answer.json())),
        gauge(
            "millrace_registry_answer_seconds",
            "How long the registry took to list its subjects.",
            answer.elapsed.total_seconds(),
        ),
    ]
