"""Declare dashboards: rows of panels, and what each asks of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat"]


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression; `legend` names a series by its labels, such as `{{topic}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. `unit` is Grafana's name of one; `empty` says why it may have nothing to show."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    text: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels by row. `needs` is the group without which there is nothing to show."""

    name: str
    title: str
    rows: Mapping[str, tuple[Panel, ...]]
    needs: str = "core"

    @property
    def panels(self) -> Iterator[Panel]:
        """Yield the panels of all rows."""
        for several in self.rows.values():
            yield from several


def lines(title: str, expr: str, legend: str, unit: str = "short", **other: str) -> Panel:
    """Return a panel of lines, one for each series of an expression."""
    return Panel(title, (Query(expr, legend),), unit, **other)  # type: ignore[arg-type]


def number(title: str, expr: str, unit: str = "short", **other: str) -> Panel:
    """Return a panel that shows one number."""
    return Panel(title, (Query(expr),), unit, "stat", **other)


def quantiles(title: str, metric: str, by: str, where: str = "", window: str = "5m") -> Panel:
    """Return a panel with the median and the 99th percentile of a histogram in seconds."""
    rate = f"sum by (le, {by}) (rate({metric}_bucket{where}[{window}]))"
    return Panel(
        title,
        tuple(
            Query(f"histogram_quantile({share}, {rate})", f"p{share * 100:.0f} {{{{{by}}}}}")
            for share in (0.5, 0.99)
        ),
        "s",
    )
