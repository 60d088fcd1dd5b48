"""Check one data set: schema, ranges, duplicates, gaps, time order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.util import hash_array

from ingestion.quality.data import Cells, Data, cells
from ingestion.quality.profiles import Column, Profile

Level = Literal["ok", "note", "error"]
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: how many rows it is about, and some of what they hold.

    `error`: those rows cannot be used. `note`: they can, and somebody should know.
    """

    check: str
    what: str
    level: Level
    rows: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of a data set."""

    file: str
    profile: str
    rows: int
    facts: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """Return how many checks found rows that cannot be used."""
        return sum(finding.level == "error" for finding in self.findings)

    @property
    def notes(self) -> int:
        """Return how many checks found something to know."""
        return sum(finding.level == "note" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON types."""
        return {**asdict(self), "errors": self.errors, "notes": self.notes}


def check(data: Data, profile: Profile, longest_gap_ms: int) -> Quality:
    """Run every check. A gap longer than `longest_gap_ms` is told."""
    present = [one for one in profile.columns if one.name in data.table.column_names]
    findings = [*_schema(data, profile)]
    facts: dict[str, Any] = {}
    for column in present:
        found = cells(data, column)
        findings += _cells(column, found)
        if column.name == profile.time:
            findings += _time(found.values, longest_gap_ms)
            facts |= _period(found.values)
        if column.kind in ("id", "label"):
            facts[f"distinct {column.name}"] = len(pd.unique(found.values))
    findings.append(_duplicates(data))
    rows = len(data.table) + len(data.torn)
    return Quality(str(data.path), profile.name, rows, facts, tuple(findings))


def _schema(data: Data, profile: Profile) -> Iterator[Finding]:
    given, known = data.table.column_names, [one.name for one in profile.columns]
    needed = [one.name for one in profile.columns if not one.optional]
    missing = [name for name in needed if name not in given]
    rows = len(data.table)
    yield Finding("schema", "columns", *_or_ok(rows if missing else 0), _listed("missing", missing))
    if further := [name for name in given if name not in known]:
        yield Finding("schema", "further columns", "note", 0, _listed("not checked", further))
    reasons = [f"row {one.row}: {one.reason}" for one in data.torn[:_EXAMPLES]]
    yield Finding("schema", "cells a row", *_or_ok(len(data.torn)), "; ".join(reasons))


def _cells(column: Column, found: Cells) -> Iterator[Finding]:
    empty, name = int(found.empty.sum()), column.name
    if not column.optional:
        yield Finding("empty", name, *_or_ok(empty))
    elif empty:
        yield Finding("empty", name, "ok", empty, "may be empty")
    unreadable = int((~found.readable & ~found.empty).sum())
    yield Finding("type", name, *_or_ok(unreadable), f"not {column.kind}" if unreadable else "")
    if column.allowed:
        wrong = found.values[~np.isin(found.values, column.allowed)]
        others = np.unique(wrong)[:_EXAMPLES].tolist()
        told = _listed("not known", others)
        yield Finding("range", name, *_or_ok(len(wrong), column.usable), told)
    if column.least is not None or column.most is not None:
        low = -np.inf if column.least is None else column.least
        high = np.inf if column.most is None else column.most
        outside = found.values[(found.values < low) | (found.values > high)]
        detail = f"outside {low:g} to {high:g}, as {outside[0]}" if len(outside) else ""
        yield Finding("range", name, *_or_ok(len(outside), column.usable), detail)


def _time(times: NDArray[np.int64], longest_gap_ms: int) -> Iterator[Finding]:
    back = int((np.diff(times) < 0).sum())
    told = "earlier than the row before: a replay sorts them" if back else ""
    yield Finding("order", "time", "note" if back else "ok", back, told)
    ordered = np.sort(times)
    gaps = np.diff(ordered)
    long = np.flatnonzero(gaps > longest_gap_ms)
    longest = long[np.argsort(gaps[long])[::-1][:_EXAMPLES]]
    told = "; ".join(f"{gaps[at] / 3_600_000:.1f} h from {_moment(ordered[at])}" for at in longest)
    yield Finding("gaps", "time", "note" if len(long) else "ok", len(long), told)


def _period(times: NDArray[np.int64]) -> dict[str, str]:
    if not len(times):
        return {}
    return {"first": _moment(times.min()), "last": _moment(times.max())}


def _duplicates(data: Data) -> Finding:
    """Count rows that repeat another one, cell by cell."""
    text = [column.cast("string").fill_null("") for column in data.table.columns]
    rows = pc.binary_join_element_wise(*text, "\x1f").combine_chunks()
    hashes = hash_array(rows.to_numpy(zero_copy_only=False), categorize=False)
    repeated = len(hashes) - len(np.unique(hashes))
    told = "equal to another row in every cell" if repeated else ""
    return Finding("duplicates", "rows", "note" if repeated else "ok", repeated, told)


def _or_ok(rows: int, usable: bool = False) -> tuple[Level, int]:
    if not rows:
        return "ok", rows
    return ("note" if usable else "error"), rows


def _listed(what: str, names: list[Any]) -> str:
    return f"{what}: {', '.join(map(str, names))}" if names else ""


def _moment(time: Any) -> str:
    try:
        return datetime.fromtimestamp(int(time) / 1000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return f"{time} ms"
