"""Distances of distributions against SciPy's, and two data sets side by side."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from ingestion.quality.compare import compare, jensen_shannon, ks, psi
from ingestion.quality.data import read
from ingestion.quality.profiles import profile_of
from ingestion.quality.published import PUBLISHED, likeness
from scripts import compare_datasets

T = 1_433_221_332_000
counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)
samples = st.lists(st.integers(-5, 5) | st.floats(-5, 5), min_size=1, max_size=30)


@given(first=counts, second=counts)
def test_jensen_shannon_is_scipy_s(first: list[int], second: list[int]) -> None:
    p, q = (np.array(side) / sum(side) for side in (first, second))

    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)


@given(first=samples, second=samples)
def test_ks_is_scipy_s(first: list[float], second: list[float]) -> None:
    with warnings.catch_warnings(action="ignore"):  # of the p-value, which nobody asks for
        expected = ks_2samp(first, second, method="asymp").statistic

    assert ks(np.array(first), np.array(second)) == pytest.approx(expected)


def test_psi_by_hand() -> None:
    found = psi(np.array([0.5, 0.5]), np.array([0.25, 0.75]))

    assert found == pytest.approx(-0.25 * math.log(0.5) + 0.25 * math.log(1.5))
    assert psi(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0


def events(path: Path, kinds: str, visitor: int = 1) -> Path:
    names = {"v": "view", "a": "addtocart", "t": "transaction"}
    lines = [
        f"{T + 1000 * place},{visitor + place // 2},{names[kind]},{place % 3},"
        for place, kind in enumerate(kinds)
    ]
    path.write_text("timestamp,visitorid,event,itemid,transactionid\n" + "\n".join(lines) + "\n")
    return path


def test_columns_side_by_side(tmp_path: Path) -> None:
    first = events(tmp_path / "a.csv", "vvvvvvat")
    second = events(tmp_path / "b.csv", "vvvvaaat", visitor=3)

    found = {one.column: one for one in compare(read(first), read(second), profile_of(first))}

    assert found["event"].first == {"view": 0.75, "addtocart": 0.125, "transaction": 0.125}
    assert found["event"].second == {"view": 0.5, "addtocart": 0.375, "transaction": 0.125}
    by_hand = -0.25 * math.log(0.5 / 0.75) + 0.25 * math.log(0.375 / 0.125)
    assert found["event"].psi == pytest.approx(by_hand)
    assert found["visitorid"].first["distinct"] == 4
    assert found["visitorid"].psi == found["visitorid"].ks == 0
    assert found["visitorid"].shared == 0.5
    assert found["timestamp"].jensen_shannon == 0
    assert "transactionid" in found


def test_the_exit_code_says_whether_there_is_a_drift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = str(events(tmp_path / "a.csv", "vvvvvvat"))
    second = str(events(tmp_path / "b.csv", "vvvvaaat"))

    assert compare_datasets.main([first, first]) == 0
    assert "no drift" in capsys.readouterr().out
    assert compare_datasets.main([first, second]) == 1
    assert "drift in event" in capsys.readouterr().out
    assert compare_datasets.main([first, second, "--threshold", "0.5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["drift"] is False
    assert compare_datasets.main([first, str(tmp_path / "none.csv")]) == 2


def test_a_file_stands_beside_what_is_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.csv"
    visits = [
        (1, 5, 0),
        (1, 5, 1),
        (1, 6, 2),
        (1, 5, 40),
        (2, 5, 0),
        (2, 7, 1),
        (2, 8, 2),
        (2, 7, 3),
    ]
    lines = [f"{T + minute * 60_000},{who},view,{item}," for who, item, minute in visits]
    path.write_text("timestamp,visitorid,event,itemid,transactionid\n" + "\n".join(lines) + "\n")

    found = {one.figure: one.found for one in likeness(path)}

    assert list(found) == list(PUBLISHED)
    assert (found["events"], found["visitors"], found["items"]) == (8, 2, 4)
    # Sessions of 3 (5, 5, 6), of 1, and of 4 (5, 7, 8, 7).
    assert found["views in a session of 3 or more, mean"] == 3.5
    assert found["next view is of an item of the session"] == pytest.approx(2 / 5)
    assert found["next view is of the same item"] == pytest.approx(1 / 5)
    assert compare_datasets.main(["--published", str(path)]) == 0
    assert "| visitors | 1,407,580 | 2 |" in capsys.readouterr().out
