"""Show the monitoring beside a demo: addresses, panels as they are, and an alert made to fire."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from config.errors import UserError
from config.products import groups
from config.settings import Settings
from ingestion.kafka.producer import KafkaSink
from millrace.demo.picture import draw
from millrace.prometheus import SPAN_S, Prometheus
from millrace.stack import api
from monitoring.dashboards import dashboards
from monitoring.dashboards.drawing import Drawn, Series, named, page
from monitoring.dashboards.panel import Dashboard, Panel
from monitoring.pace import Pace
from monitoring.rules import alerts

GROUP, DASHBOARD, RULE = "monitoring", "fraud", "QuarantineGrowing"
"""What is drawn, and which rule is made to fire: its cause harms nobody and ends by itself."""
FIRING_S = 90.0

Ask = Callable[[str], list[tuple[dict[str, str], list[tuple[float, float]]]]]
"""Return the series of a PromQL expression over the last minutes: labels, and values by time."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that was made to fire: what Prometheus says of it, and the seconds it took."""

    summary: str
    severity: str
    seconds: float
    told: bool
    """Whether the platform's own log of alerts has it, from which people are told."""


def addresses(settings: Settings) -> list[str]:
    """Return where the monitoring is looked at."""

    def url(process: str, path: str = "") -> str:
        return f"http://{settings.host}:{settings.port(process)}{path}"

    return [
        f"Prometheus: {url('prometheus', '/graph')}",
        f"Alertmanager: {url('alertmanager')}",
        f"alerts told to people: {url('api', '/v1/alerts')} (and `millrace alerts list`)",
        "dashboards: `millrace dashboards check`; Grafana comes with docker-compose",
    ]


def on(settings: Settings) -> bool:
    """Return whether the monitoring runs with this stack."""
    return GROUP in groups(settings)


def panels(dashboard: Dashboard, ask: Ask) -> dict[str, list[Drawn]]:
    """Return a dashboard's panels by row, with what Prometheus answers."""
    return {
        name: [_drawn(panel, ask) for panel in several] for name, several in dashboard.rows.items()
    }


def _drawn(panel: Panel, ask: Ask) -> Drawn:
    found = [
        Series(named(query.legend, labels), tuple(points))
        for query in panel.queries
        for labels, points in ask(query.expr)
    ]
    return Drawn(panel.title, panel.unit, tuple(found), panel.kind)


def fire(
    settings: Settings, prometheus: Prometheus, told: Callable[[], bool], within: float = FIRING_S
) -> Fired:
    """Send a record that nobody can read, and wait until the rule about it fires.

    `told` says whether the platform's log of alerts has it. Raise UserError if it does not fire in
    time.
    """
    began = time.monotonic()
    with KafkaSink(settings.kafka_bootstrap, client_id="demo-alert") as sink:
        sink.send("transactions", f"demo-{uuid.uuid4().hex[:8]}", b"no record")
    found: dict[str, Any] | None = None
    while (found := prometheus.firing(RULE)) is None or not told():
        if time.monotonic() - began > within:
            break
        time.sleep(0.5)
    if found is None:
        raise UserError(f"{RULE} did not fire within {within:.0f} s: `millrace logs prometheus`")
    seconds = time.monotonic() - began
    return Fired(
        found["annotations"]["summary"], found["labels"].get("severity", ""), seconds, told()
    )


def dashboard_page(prometheus: Prometheus) -> str:
    """Return the page of the dashboard."""
    chosen = next(one for one in dashboards() if one.name == DASHBOARD)
    line = f"the last {SPAN_S // 60} minutes, as Prometheus has them"
    return page(f"{chosen.title}: the dashboard", [line], panels(chosen, prometheus.series))


def alert_page(settings: Settings, prometheus: Prometheus, fired: Fired) -> str:
    """Return the page of the alert: what its rule asks, its state, and what was told."""
    rule = next(one for one in alerts(sorted(groups(settings))) if one.name == RULE)
    expr = Pace(settings.monitoring_scrape_s, settings.monitoring_patience).expression(rule.expr)
    value, _, limit = expr.rpartition(">")
    asked = tuple(Series("records", tuple(points)) for _, points in prometheus.series(value))
    states = prometheus.series(f'ALERTS{{alertname="{RULE}"}}')
    shown = tuple(_state(labels, points) for labels, points in states)
    log = prometheus.series("sum by (topic) (millrace_kafka_topic_end_offset{topic='quarantine'})")
    offsets = tuple(Series(labels.get("topic", ""), tuple(points)) for labels, points in log)
    lines = [
        f"{fired.severity}: {fired.summary}",
        f"fired {fired.seconds:.0f} s after a record that nobody can read was sent"
        + (", and is on the platform's log of alerts" if fired.told else ""),
        rule.expr,
    ]
    drawn = [
        Drawn("What the rule asks, and its limit", "short", asked, limit=float(limit)),
        Drawn("The alert", "short", shown),
        Drawn("End of the topic quarantine", "short", offsets),
    ]
    return page(f"{RULE}: an alert that was made to fire", lines, {"": drawn})


def _state(labels: dict[str, str], points: Iterable[tuple[float, float]]) -> Series:
    """Return an alert's state as a line; where it did not fire there is a gap."""
    known = tuple(points)
    before = ((known[0][0] - 60, math.nan),) if known else ()
    return Series(labels.get("alertstate", ""), (*before, *known))


def show(settings: Settings, say: Callable[[str], None]) -> None:
    """Say the addresses, draw the dashboard, make an alert fire, and draw that.

    Raise UserError if Prometheus does not answer, or the alert does not fire. Without Chromium
    there are no pictures.
    """
    prometheus = Prometheus(settings)
    dashboard = dashboard_page(prometheus)  # at once, while its rates are those of the demo

    def told() -> bool:
        found = api.get(settings, "/v1/alerts?limit=100") or {}
        return any(one["kind"] == RULE for one in found.get("alerts", ()))

    for line in addresses(settings):
        say(line)
    say("making an alert fire: a record that nobody can read goes to `transactions`")
    fired = fire(settings, prometheus, told)
    say(f"{RULE} fires after {fired.seconds:.0f} s ({fired.severity}): {fired.summary}")
    folder = settings.state_dir / "demo"
    try:
        for name, content in (
            ("dashboard", dashboard),
            ("alert", alert_page(settings, prometheus, fired)),
        ):
            draw(content, folder / f"{name}.png")
            say(f"the {name} as Prometheus has it: {folder / name}.png")
    except UserError as error:
        say(str(error))
