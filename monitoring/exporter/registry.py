"""Look at the schema registry."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from prometheus_client.metrics_core import Metric

from config.instruments import family


def look(client: httpx.Client) -> Sequence[Metric]:
    """Return the metrics. Raise HTTPError if it does not answer."""
    answer = client.get("subjects").raise_for_status()
    return [
        family("millrace_registry_subjects", len(answer.json())),
        family("millrace_registry_answer_seconds", answer.elapsed.total_seconds()),
    ]
