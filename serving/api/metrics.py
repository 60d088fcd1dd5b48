"""Define the API's metrics for Prometheus."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prometheus_client import GCCollector
from starlette.types import Scope

from config import instruments

SECONDS = (
    *(
        0.0005,
        0.001,
        0.002,
        0.003,
        0.004,
        0.005,
        0.0075,
        0.01,
        0.015,
        0.02,
        0.03,
        0.04,
        0.05,
        0.06,
        0.08,
        0.1,
    ),
    *(0.15, 0.25, 0.5, 1.0, 2.5, 5.0),
)

STREAMS = "/v1/page"


class Metrics:
    """Request times by method, route (as declared, so that ids make no series) and status."""

    def __init__(self) -> None:
        self.registry = instruments.registry()
        GCCollector(registry=self.registry)
        histogram = self._requests = instruments.histogram(
            "millrace_api_request_seconds", SECONDS, self.registry
        )
        self._child = lru_cache(maxsize=1024)(lambda *labels: histogram.labels(*labels))

    def answered(self) -> tuple[float, dict[float, float]]:
        """Return how many requests the API's versioned routes answered, and how many within each s.

        Streams are not among them: they last as long as somebody looks.
        """
        total, buckets = 0.0, dict.fromkeys((*SECONDS, float("inf")), 0.0)
        for family in self._requests.collect():
            for sample in family.samples:
                route = sample.labels["route"]
                if not route.startswith("/v1/") or route.startswith(STREAMS):
                    continue
                if sample.name.endswith("_bucket"):
                    buckets[float(sample.labels["le"])] += sample.value
                elif sample.name.endswith("_count"):
                    total += sample.value
        return total, buckets

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Record the duration of one request."""
        route: Any = scope.get("route")
        self._child(scope["method"], getattr(route, "path_format", "none"), status).observe(seconds)
