"""Ask the API for the shop's windows, and compare them with the lake's events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from config.settings import Settings
from domain.shop.windows import FIGURES
from domain.times import milliseconds
from millrace.stack import api

PATH = "/v1/metrics/business"
PAGE = 1000
COMPARED = (*FIGURES, "items_sold")
TIMEOUT_S = 10


class Windows:
    """The shop's windows as the API tells them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def page(self, **query: str | int) -> dict[str, Any]:
        """Return one answer. Raise UserError where the API refuses or does not answer."""
        path = f"{PATH}?{urlencode(query)}"
        found: dict[str, Any] = api.answered(self._settings, path, timeout_s=TIMEOUT_S)
        return found

    def between(self, window: str, since: str, to: str) -> Iterator[dict[str, Any]]:
        """Yield the windows that begin from `since` on, before `to`, newest first."""
        bound: str | None = to
        while bound is not None:
            query: dict[str, str | int] = {
                "window": window,
                "from": since,
                "to": bound,
                "limit": PAGE,
                "top": 0,
            }
            found = self.page(**query, band="false")
            yield from found["windows"]
            bound = found["next"]


def differences(
    told: Mapping[int, Mapping[str, Any]], counted: Mapping[int, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each figure that differs, by window and name, with both values.

    Of a window that one side lacks, only the number of events is told; None for that side.
    """
    found = []
    for start in sorted(told.keys() | counted.keys()):
        names = COMPARED if start in told and start in counted else ("events",)
        for name in names:
            ours, lakes = (side[start][name] if start in side else None for side in (told, counted))
            if ours != lakes:
                found.append({"window_start": start, "figure": name, "told": ours, "lake": lakes})
    return found


def by_start(windows: Iterator[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return windows by their start in ms."""
    return {milliseconds(one["window_start"]): one for one in windows}
