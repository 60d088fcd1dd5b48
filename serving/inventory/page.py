"""Show the items that are about to run out, with their forecast, on the live page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from config.clock import now_ms
from serving.api.context import Context
from serving.inventory import keys, routes
from serving.inventory.view import document
from serving.page.panel import Document, Panel, every, way

SHOWN = 12
LOOKED_AT = 500
"""Items whose alerts changed last: those at risk are looked for among them."""
EVERY_S = 3.0

routers = ()


async def _collect(context: Context) -> Document:
    """Return the items at risk, those that run out first at the head."""
    now = now_ms()
    names = [one.decode() for one in await context.values.newest(keys.WATCHED, LOOKED_AT)]
    found = [document(one, now) for one in await routes.stored_of(context.values, names)]
    risky = sorted((_shown(one) for one in found if one["at_risk"]), key=_soonest)
    return {
        "items": risky[:SHOWN],
        "tiles": [
            {"label": "Items about to run out", "value": len(risky), "unit": "", "good": not risky}
        ],
    }


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    """Return what the panel draws, rounded so that only what a reader would see changes."""
    forecast = item["forecast"]
    return {
        "item_id": item["item_id"],
        "level": item["level"],
        "units_a_day": round(item["demand"]["units_a_day"], 1),
        "run_out": _rounded(item["run_out"]),
        "forecast": forecast
        and {
            "run_out": _rounded(forecast["run_out"]),
            "age_days": round(forecast["age_days"]),
            **{name: forecast[name][0] for name in ("horizon_days", "units")},
            **{name: forecast[name][0] for name in ("lower_80", "upper_80")},
        },
        "order": item["reorder"] and item["reorder"]["quantity"],
        "alerts": [one["kind"] for one in item["alerts"]],
    }


def _rounded(run_out: dict[str, Any] | None) -> dict[str, float | None] | None:
    if run_out is None:
        return None
    days = {name: run_out[name] for name in ("days", "earliest", "latest")}
    return {name: None if one is None else round(one, 1) for name, one in days.items()}


def _soonest(item: dict[str, Any]) -> tuple[float, str]:
    """Order by the days that are left: by the forecast, else by what was sold lately."""
    told = [item["forecast"] and item["forecast"]["run_out"], item["run_out"]]
    days = (one["days"] for one in told if one is not None and one["days"] is not None)
    return next(days, math.inf), item["item_id"]


panels = (
    Panel(
        "stock",
        "Items about to run out",
        Path(__file__).with_name("page.js"),
        every(EVERY_S, _collect),
        ways=(
            way(
                "Purchases to stock",
                "topic:shop-events job:inventory topic:stock-levels consumer:stock store:Redis",
            ),
        ),
        place=40,
    ),
)
