"""Show how far a model's scores are probabilities."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def reliability(found: dict[str, Any]) -> Table:
    """Return a reliability table: what scores say beside what came of them."""
    table = Table(
        title=f"calibration error {found['error']:.4f}, Brier score {found['brier']:.4f}",
        title_justify="left",
    )
    for heading in ("scores from", "rows", "mean score", "share of fraud"):
        table.add_column(heading, justify="right")
    for one in found["bins"]:
        table.add_row(
            f"{one['from']:.1f}", f"{one['rows']:,}", f"{one['score']:.3f}", f"{one['share']:.3f}"
        )
    return table
