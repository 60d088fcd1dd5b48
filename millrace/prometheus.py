"""Ask the Prometheus that runs beside the stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx

from config.errors import UserError
from config.settings import Settings

SPAN_S = 300
"""How far back `Prometheus.series` looks."""
_TIMEOUT_S = 30


class Prometheus:
    """Prometheus' answers. Every question raises UserError when it does not answer, or refuses."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._base = f"http://{settings.host}:{settings.port('prometheus')}/api/v1"
        self._now, self._step = now, max(1, settings.monitoring_scrape_s)

    def values(self, expr: str) -> list[float]:
        """Return the present values of an expression, one a series."""
        return [float(one["value"][1]) for one in self._get("/query", query=expr)["result"]]

    def series(self, expr: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Return the series of an expression: labels, and values by time in s."""
        end = self._now()
        span = {"start": end - SPAN_S, "end": end, "step": self._step}
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one["values"]])
            for one in self._get("/query_range", query=expr, **span)["result"]
        ]

    def firing(self, name: str) -> dict[str, Any] | None:
        """Return the alert of a rule if it fires."""
        found = (one for one in self._get("/alerts")["alerts"] if one["state"] == "firing")
        return next((one for one in found if one["labels"]["alertname"] == name), None)

    def _get(self, path: str, **asked: str | float) -> Any:
        try:
            answer = httpx.get(f"{self._base}{path}?{urlencode(asked)}", timeout=_TIMEOUT_S)
            body = answer.json()
        except (httpx.TransportError, ValueError) as error:
            raise UserError(
                f"Prometheus does not answer: {error}; type `millrace up --with monitoring`"
            ) from None
        if body["status"] != "success":
            raise UserError(f"Prometheus cannot read {asked.get('query', path)}: {body['error']}")
        return body["data"]
