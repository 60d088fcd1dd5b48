"""Tell Prometheus which models a consumer scores with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config import instruments
from orchestration.shelf.shelf import Shelf


class ModelInfo(Collector):
    """`millrace_model_info`: 1 for each model in use, with the feature set of its rows.

    It is read when it is asked for, so a swap shows at once; whoever promotes a model waits for it.
    """

    def __init__(self, consumer: str, shelf: Shelf[Any]) -> None:
        self._consumer, self._shelf = consumer, shelf

    def collect(self) -> Iterable[Metric]:
        """Return the metric."""
        held = self._shelf.held.items()
        yield instruments.family(
            "millrace_model_info", {(self._consumer, version, rows): 1.0 for rows, version in held}
        )
