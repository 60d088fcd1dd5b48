"""Panels drawn from answers: what is on the page, read back from its SVG."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UserError
from config.settings import Settings
from millrace.demo import watched
from millrace.prometheus import Prometheus
from monitoring.dashboards import dashboards
from monitoring.dashboards.check import Finding, bare
from monitoring.dashboards.drawing import Drawn, Series, named, nice, page, told

NAN = math.nan


def test_a_line_has_a_point_for_each_value_and_breaks_at_gaps() -> None:
    series = Series("a <b>", ((0, 0.0), (10, 5.0), (20, NAN), (30, 10.0)))
    text = page("T", ["one"], {"row": [Drawn("panel", "cps", (series,))]})
    (path,) = re.findall(r'<path d="([^"]+)"', text)
    places = [float(x) for x, _ in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert path.count("M") == 2
    assert len(places) == 3
    assert (places[1] - places[0]) * 2 == pytest.approx(places[2] - places[1], abs=0.2)
    heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert "a &lt;b&gt; <b>10/s</b>" in text
    assert "00:00:30" in text


def test_a_panel_without_a_number_says_so() -> None:
    for series in ((), (Series("a", ((0, NAN),)),)):
        assert "nothing to show" in page("T", [], {"": [Drawn("p", "short", series)]})


def test_a_number_is_the_newest_and_a_limit_is_a_line() -> None:
    series = (Series("", ((0, 1.0), (5, 0.25), (6, NAN))),)
    assert ">25.0%<" in page("T", [], {"": [Drawn("p", "percentunit", series, "stat")]})
    text = page("T", [], {"": [Drawn("p", "short", series, limit=0.5)]})
    assert text.count("stroke-dasharray") == 1


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0123, "s", "12.3 ms"),
        (2.5, "s", "2.5 s"),
        (1536, "bytes", "1.5 KiB"),
        (3 * 1024**3, "Bps", "3 GiB/s"),
        (12_345.6, "short", "12,346"),
        (NAN, "short", "none"),
    ],
)
def test_values_with_their_units(value: float, unit: str, expected: str) -> None:
    assert told(value, unit) == expected


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_ticks_hold_what_is_drawn(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = nice(low, high)
    assert 2 <= len(ticks) <= 8
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack


def test_names_of_series() -> None:
    assert named("{{topic}} of {{x}}", {"topic": "t"}) == "t of "
    assert named("", {"__name__": "n", "a": "1", "b": "2"}) == "1, 2"


def test_every_dashboard_is_drawn_from_what_prometheus_answers() -> None:
    asked: list[str] = []

    def ask(expr: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        asked.append(expr)
        return [({"topic": "t"}, [(1.0, 2.0)])]

    for one in dashboards():
        rows = watched.panels(one, ask)
        assert [panel.title for panels in rows.values() for panel in panels] == [
            panel.title for panel in one.panels
        ]
        assert "nothing to show" not in page(one.title, [], rows)
    queries = [
        query.expr for one in dashboards() for panel in one.panels for query in panel.queries
    ]
    assert asked == queries


def test_a_panel_is_bare_only_without_any_answer() -> None:
    found = [
        Finding("d", "a", "x", 0, "none came"),
        Finding("d", "a", "y", 1, "none came"),
        Finding("d", "b", "x", 0, "none came"),
    ]
    assert bare(found) == [found[2]]


class Answers:
    """Prometheus and Kafka as the demo sees them: the alert fires after some looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
        self.sent: list[tuple[str, str, bytes]] = []
        self.looks = looks
        monkeypatch.setattr(httpx, "get", self.get)
        monkeypatch.setattr(watched, "KafkaSink", lambda *_, **__: self)
        monkeypatch.setattr("time.sleep", lambda _: None)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def send(self, *record: Any) -> None:
        self.sent.append(record)

    def get(self, url: str, timeout: float) -> httpx.Response:
        data: dict[str, Any] = {"result": [{"metric": {}, "values": [[1.0, "1"], [2.0, "3"]]}]}
        if url.partition("?")[0].endswith("/alerts"):
            self.looks -= 1
            labels = {"alertname": watched.RULE, "severity": "warning"}
            state = "firing" if self.looks < 0 else "pending"
            alert = {"labels": labels, "state": state, "annotations": {"summary": "1 record"}}
            data = {"alerts": [alert]}
        return httpx.Response(
            200, json={"status": "success", "data": data}, request=httpx.Request("GET", url)
        )


def test_the_demo_makes_an_alert_fire_and_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(monkeypatch, looks=3)
    settings = Settings(_env_file=None, groups="core,fraud,monitoring")  # type: ignore[call-arg]
    assert watched.on(settings)
    prometheus = Prometheus(settings, lambda: 1000.0)
    fired = watched.fire(settings, prometheus, lambda: True)
    assert (fired.summary, fired.severity, fired.told) == ("1 record", "warning", True)
    assert [(topic, value) for topic, _, value in answers.sent] == [("transactions", b"no record")]
    text = watched.alert_page(settings, prometheus, fired)
    assert "warning: 1 record" in text
    assert text.count('class="panel"') == 3
    assert "stroke-dasharray" in text
    drawn: dict[str, str] = {}
    monkeypatch.setattr(watched, "draw", lambda content, path: drawn.setdefault(path.name, content))
    monkeypatch.setattr(
        watched, "api", SimpleNamespace(get=lambda *_: {"alerts": [{"kind": watched.RULE}]})
    )
    said: list[str] = []
    watched.show(settings, said.append)
    assert sorted(drawn) == ["alert.png", "dashboard.png"]
    assert any(line.startswith("Prometheus: http://") for line in said)
    assert any("fires after" in line for line in said)


def test_an_alert_that_does_not_fire_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, looks=10**6)
    settings = Settings(_env_file=None, groups="core,fraud,monitoring")  # type: ignore[call-arg]
    prometheus = Prometheus(settings, lambda: 1000.0)
    with pytest.raises(UserError, match="did not fire within 0 s"):
        watched.fire(settings, prometheus, lambda: False, within=0.0)


def test_no_monitoring_no_show() -> None:
    assert not watched.on(Settings(_env_file=None, groups="core,fraud"))  # type: ignore[call-arg]
