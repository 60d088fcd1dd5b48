"""`millrace metrics`: what it shows, and what differs from the lake."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from config.errors import UserError
from millrace import business
from millrace.cli import metrics
from serving.business.types import EXAMPLE

LOW = {**EXAMPLE, "gmv": 12.5, "gmv_minor": 1250, "revision": 0, "shown": None}


class Windows:
    """An API that has the same two windows whatever it is asked."""

    asked: tuple[dict[str, Any], ...] = ()

    def __init__(self, settings: object) -> None:
        del settings

    def page(self, **query: Any) -> dict[str, Any]:
        Windows.asked = (*Windows.asked, query)
        return {"window": query["window"], "windows": [EXAMPLE, LOW], "next": None}


def run(line: str) -> str:
    app = typer.Typer()
    app.add_typer(metrics.app, name="metrics")
    result = CliRunner().invoke(app, line.split())
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    Windows.asked = ()
    monkeypatch.setattr(business, "Windows", Windows)


def test_one_answer_is_the_api_s() -> None:
    told = json.loads(run("metrics watch --window 5m --rows 2 --json"))
    assert told["windows"] == [EXAMPLE, LOW]
    assert Windows.asked == ({"window": "5m", "limit": 2, "top": 3, "band": "true"},)


def test_a_window_is_shown_with_its_band_and_its_correction() -> None:
    console = Console(width=200, record=True, force_terminal=True)
    console.print(metrics.view([EXAMPLE, LOW], "1h"))
    text = console.export_text(clear=False, styles=False)
    assert "1,297.50" in text
    assert "800-1,600" in text
    assert "was 1,272.50" in text
    assert "461686 (5)" in text
    styled = console.export_text(styles=True)
    assert "\x1b[1;31m12.50" in styled.replace(" ", ""), "below its band"
    assert "\x1b[32m1,297.50" in styled.replace(" ", "")


def test_without_windows_it_says_so() -> None:
    console = Console(width=120, record=True)
    console.print(metrics.view([], "1m"))
    assert "no window yet" in console.export_text()


def test_an_unknown_length_is_refused() -> None:
    with pytest.raises(UserError, match="--window is 1m, 5m, 1h"):
        run("metrics watch --window 2h --json")


def test_every_figure_that_differs_is_told_and_a_window_that_one_side_lacks() -> None:
    same = dict.fromkeys(business.COMPARED, 1)
    told = {0: same, 60: {**same, "orders": 2}}
    counted = {0: same, 60: same, 120: same}
    found = business.differences(told, counted)
    assert found == [
        {"window_start": 60, "figure": "orders", "told": 2, "lake": 1},
        {"window_start": 120, "figure": "events", "told": None, "lake": 1},
    ]
    assert business.differences(told, told) == []
