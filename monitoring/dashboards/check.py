"""Ask a live Prometheus what the panels ask, and find those with nothing to show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from monitoring.dashboards.panel import Dashboard

Ask = Callable[[str], list[float]]
"""Return the values of a PromQL expression now; whatever it raises means that it cannot be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The number of series a panel shows; `excuse` says why none is no mistake."""

    dashboard: str
    panel: str
    expr: str
    series: int
    excuse: str

    @property
    def wrong(self) -> bool:
        """Return whether the panel is empty without an excuse."""
        return not self.series and not self.excuse


def findings(dashboards: Iterable[Dashboard], ask: Ask) -> Iterator[Finding]:
    """Yield a finding for each query; NaN is nothing to show."""
    for dashboard in dashboards:
        for panel in dashboard.panels:
            for query in panel.queries:
                found = [one for one in ask(query.expr) if not math.isnan(one)]
                yield Finding(dashboard.name, panel.title, query.expr, len(found), panel.empty)


def bare(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings of panels none of whose queries has anything to show."""
    several = list(found)
    shown = {(one.dashboard, one.panel) for one in several if one.series}
    return [one for one in several if (one.dashboard, one.panel) not in shown]
