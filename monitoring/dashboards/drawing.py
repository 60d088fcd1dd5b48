"""Draw panels from Prometheus' answers, as a page of HTML with SVG: no Grafana, no script.

Pure: who draws gives what Prometheus answered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 440, 150, 58, 20, 8
MOST = 8
"""Lines of a panel that are drawn: those with the greatest last values."""
COLOURS = (
    "#5794f2", "#73bf69", "#f2cc0c", "#ff9830", "#f2495c", "#b877d9", "#37c8d2", "#c0c8d8",
)  # fmt: skip
_LABEL = re.compile(r"\{\{(\w+)\}\}")
_STYLE = """
body { margin: 0; padding: 20px; background: #111217; color: #d8d9da;
  font: 13px/1.4 "DejaVu Sans", sans-serif; width: 1400px; }
h1 { font-size: 20px; margin: 0 0 2px; } h2 { font-size: 14px; margin: 18px 0 8px; color: #9fa7b3; }
p { margin: 2px 0; color: #9fa7b3; } .firing { color: #f2495c; }
.row { display: grid; grid-template-columns: repeat(3, 1fr); gap: 10px; }
.panel { background: #181b1f; border: 1px solid #2c3235; border-radius: 3px; padding: 8px 10px; }
.panel b { font-weight: 600; } .legend { font-size: 11px; color: #9fa7b3; }
.legend span { white-space: nowrap; margin-right: 6px; }
.legend i { display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 0; }
.stat { font-size: 44px; color: #73bf69; padding: 34px 0; text-align: center; }
.empty { color: #6e7480; padding: 60px 0; text-align: center; }
text { fill: #9fa7b3; font: 10px "DejaVu Sans", sans-serif; }
"""


@dataclass(frozen=True, slots=True)
class Series:
    """Values of a line by time, in seconds since 1970, rising; NaN is a gap."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel with what it shows; `limit` is a horizontal line, such as a rule's threshold."""

    title: str
    unit: str
    series: tuple[Series, ...]
    kind: str = "timeseries"
    limit: float | None = None


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return a series' name: the legend with its labels, or the labels where there is none."""
    if legend:
        return _LABEL.sub(lambda found: labels.get(found[1], ""), legend)
    return ", ".join(value for name, value in labels.items() if name != "__name__")


def told(value: float, unit: str) -> str:
    """Return a value with its unit; `unit` is Grafana's name of one."""
    if math.isnan(value):
        return "none"
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit in ("bytes", "Bps"):
        step = min(4, int(math.log(abs(value), 1024))) if abs(value) >= 1 else 0
        return f"{value / 1024**step:.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[step]}" + (
            "/s" if unit == "Bps" else ""
        )
    shown = f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return shown + ("/s" if unit == "cps" else "")


def page(title: str, lines: Iterable[str], rows: Mapping[str, Sequence[Drawn]]) -> str:
    """Return the page: a title, lines of text below it, and panels by row."""
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in lines)]
    for name, panels in rows.items():
        drawn = "".join(_panel(one) for one in panels)
        parts.append(f'<h2>{escape(name)}</h2><div class="row">{drawn}</div>')
    body = "".join(parts)
    return f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><body>{body}</body>"


def _panel(panel: Drawn) -> str:
    lines = [one for one in panel.series if any(not math.isnan(value) for _, value in one.points)]
    lines = sorted(lines, key=_last, reverse=True)[:MOST]
    if not lines:
        shown = '<div class="empty">nothing to show</div>'
    elif panel.kind == "stat":
        shown = f'<div class="stat">{escape(told(_last(lines[0]), panel.unit))}</div>'
    else:
        shown = _chart(panel, lines) + _legend(panel, lines)
    return f'<div class="panel"><b>{escape(panel.title)}</b>{shown}</div>'


def _last(series: Series) -> float:
    known = (value for _, value in reversed(series.points) if not math.isnan(value))
    return next(known, -math.inf)


def _legend(panel: Drawn, lines: Sequence[Series]) -> str:
    items = (
        f'<span><i style="background:{COLOURS[place]}"></i>{escape(one.name)} '
        f"<b>{escape(told(_last(one), panel.unit))}</b></span>"
        for place, one in enumerate(lines)
    )
    return f'<div class="legend">{" ".join(items)}</div>'


def _chart(panel: Drawn, lines: Sequence[Series]) -> str:
    times = [time for one in lines for time, _ in one.points]
    values = [value for one in lines for _, value in one.points if not math.isnan(value)]
    values += [0.0] + ([] if panel.limit is None else [panel.limit])
    first, last = min(times), max(times)
    ticks = nice(min(values), max(values))
    low, high = ticks[0], ticks[-1]

    def across(time: float) -> float:
        return LEFT + (WIDTH - LEFT) * (time - first) / max(1.0, last - first)

    def up(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{up(one):.1f}" y2="{up(one):.1f}" stroke="#2c3235"/>'
        f'<text x="{LEFT - 6}" y="{up(one) + 3:.1f}" text-anchor="end">'
        f"{escape(told(one, panel.unit))}</text>"
        for one in ticks
    ]
    for time in (first, (first + last) / 2, last):
        anchor = "start" if time == first else "end" if time == last else "middle"
        clock = datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")
        parts.append(
            f'<text x="{across(time):.1f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{clock}</text>'
        )
    if panel.limit is not None:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{up(panel.limit):.1f}" '
            f'y2="{up(panel.limit):.1f}" stroke="#f2495c" stroke-dasharray="5 4"/>'
        )
    for place, one in enumerate(lines):
        path = _path(one, across, up)
        parts.append(f'<path d="{path}" fill="none" stroke="{COLOURS[place]}" stroke-width="1.6"/>')
    return f'<svg viewBox="0 0 {WIDTH + 4} {HEIGHT}" width="100%">{"".join(parts)}</svg>'


def _path(series: Series, across: Callable[[float], float], up: Callable[[float], float]) -> str:
    """Return the line as SVG's path, broken at gaps; a single point is a short stroke."""
    parts, pen = [], "M"
    for time, value in series.points:
        if math.isnan(value):
            pen = "M"
            continue
        parts.append(f"{pen}{across(time):.1f} {up(value):.1f}")
        if pen == "M":
            parts.append("h0.8")
        pen = "L"
    return "".join(parts)


def nice(low: float, high: float) -> list[float]:
    """Return some four round numbers from at most `low` to at least `high`."""
    if high <= low:
        high = low + 1
    rough = (high - low) / 3
    scale = 10 ** math.floor(math.log10(rough))
    step = next(scale * one for one in (1, 2, 2.5, 5, 10) if scale * one >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [place * step for place in range(first, last + 1)]
