"""Print results as a table and keep them as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows under the first row's columns, numbers right-aligned with separators."""
    table = Table(title=title, title_justify="left")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        number = all(isinstance(row.get(name, 0), int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(_text(row.get(name, "")) for name in names))
    Console(width=200 if not os.isatty(1) else None).print(table)


def keep(name: str, result: Mapping[str, Any]) -> Path:
    """Write `results/<name>.json` with the machine and the time, and return the file.

    A quick run of all has a suffix (`MILLRACE_BENCH_SUFFIX`), so that it replaces no real result. A
    number that is infinite or NaN (a percentile among unanswered requests) becomes null, as JSON
    has no word for it.
    """
    RESULTS.mkdir(exist_ok=True)
    suffix = os.environ.get("MILLRACE_BENCH_SUFFIX", "")
    path = RESULTS / f"{name.removesuffix(suffix)}{suffix}.json"
    path.write_text(
        json.dumps(_finite({"benchmark": name, **machine(), **result}), indent=2) + "\n"
    )
    return path


def machine() -> dict[str, Any]:
    """Describe the machine the figures depend on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": model,
        "load_before": round(os.getloadavg()[0], 2),
    }


def _finite(value: Any) -> Any:
    """Return the same with null for every infinity and NaN."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
