"""Put an events.csv beside what is published of Retail Rocket's.

Counts, shares and days are from the data set's own page (kaggle.com/datasets/retailrocket/
ecommerce-dataset). Figures of sessions and of the rhythm were measured on public slices of it:
126,168 sessions of at least three views, and a timed sample of 10,080 views.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingestion.quality.data import read
from ingestion.quality.profiles import profile_of

_GAP_MS = 30 * 60_000
_SHORTEST = 3
# What is published, by the name of the figure.
PUBLISHED: dict[str, float | str] = {
    "events": 2_756_101,
    "visitors": 1_407_580,
    "items": 235_061,
    "view": 0.9667,
    "addtocart": 0.0252,
    "transaction": 0.0081,
    "first day": "2015-05-03",
    "last day": "2015-09-18",
    "views in a session of 3 or more, mean": 5.44,
    "the same, median": 4,
    "the same, 90th percentile": 9,
    "the same, 99th percentile": 27,
    "next view is of an item of the session": 0.375,
    "next view is of the same item": 0.201,
    "busiest hour over the quietest": 12.6,
    "Sunday over Monday": 0.83,
}


@dataclass(frozen=True, slots=True)
class Likeness:
    """One figure: as published, and as found."""

    figure: str
    published: float | str
    found: float | str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def likeness(path: Path) -> list[Likeness]:
    """Measure a file of Retail Rocket's format. Raise UserError for another file."""
    profile_of(path, "retail_rocket")
    frame = read(path).table.select(["timestamp", "visitorid", "event", "itemid"]).to_pandas()
    frame["timestamp"] = pd.to_numeric(frame["timestamp"], errors="coerce")
    for name in ("visitorid", "itemid"):
        frame[name] = pd.factorize(frame[name])[0]
    times = pd.to_datetime(frame["timestamp"], unit="ms")
    shares = frame["event"].value_counts(normalize=True)
    hours = times.dt.hour.value_counts()
    weekdays = times.dt.day_of_week.value_counts()
    found: dict[str, float | str] = {
        "events": len(frame),
        "visitors": frame["visitorid"].nunique(),
        "items": frame["itemid"].nunique(),
        **{kind: float(shares.get(kind, 0)) for kind in ("view", "addtocart", "transaction")},
        "first day": str(times.min().date()),
        "last day": str(times.max().date()),
        **_sessions(frame[frame["event"] == "view"]),
        "busiest hour over the quietest": float(hours.max() / max(1, hours.min())),
        "Sunday over Monday": float(weekdays.get(6, 0) / max(1, weekdays.get(0, 0))),
    }
    return [Likeness(name, PUBLISHED[name], found[name]) for name in PUBLISHED]


def _sessions(views: pd.DataFrame) -> dict[str, float]:
    """Return the figures of sessions: a visitor's views without a gap of half an hour."""
    views = views.sort_values(["visitorid", "timestamp"], kind="stable")
    visitor, time = views["visitorid"].to_numpy(), views["timestamp"].to_numpy()
    new = np.append(True, (np.diff(visitor) != 0) | (np.diff(time) > _GAP_MS))[: len(views)]
    session = np.cumsum(new) - 1
    views = views.assign(session=session, new=new)
    sizes = np.bincount(session) if len(views) else np.zeros(1, int)
    long = sizes >= _SHORTEST
    within = long[session] if len(views) else np.zeros(0, bool)
    item = views["itemid"].to_numpy()
    same = np.append(False, item[1:] == item[:-1])[: len(views)] & ~new
    seen = views.duplicated(["session", "itemid"]).to_numpy()
    following = within & ~new
    lengths = sizes[long] if long.any() else np.zeros(1)
    return {
        "views in a session of 3 or more, mean": float(lengths.mean()),
        "the same, median": float(np.median(lengths)),
        "the same, 90th percentile": float(np.quantile(lengths, 0.9)),
        "the same, 99th percentile": float(np.quantile(lengths, 0.99)),
        "next view is of an item of the session": _mean(seen[following]),
        "next view is of the same item": _mean(same[following]),
    }


def markdown(found: list[Likeness]) -> str:
    """Return the figures as a table."""
    rows = (f"| {one.figure} | {_text(one.published)} | {_text(one.found)} |" for one in found)
    return "\n".join(["| | published | simulated |", "|---|---|---|", *rows])


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _mean(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else 0.0
