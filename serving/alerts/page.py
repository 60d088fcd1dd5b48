"""Show the open alerts of all products on the live page, to be acknowledged there."""

from __future__ import annotations

from pathlib import Path

from serving.alerts import routes
from serving.api.context import Context
from serving.page.panel import Document, Panel, every, way

SHOWN = 30
LOOKED_AT = 500
"""Alerts told of last: the open ones are looked for among them."""
EVERY_S = 2.0
_ORDER = {"critical": 0, "warning": 1, "info": 2}
_FIELDS = (
    *("alert_id", "entity", "kind", "severity", "message", "opened_at"),
    *("product", "acknowledged", "silenced_until"),
)

routers = ()


async def _collect(context: Context) -> Document:
    """Return the open alerts: those nobody has seen first, the gravest of them at the head."""
    found = await routes.listed(context.values, LOOKED_AT, state="open", among=LOOKED_AT)
    unseen = [one for one in found if one["acknowledged"] is None]
    # Stable: of equals the newest stays first.
    found.sort(key=lambda one: (one["acknowledged"] is not None, _ORDER[one["severity"]]))
    return {
        "alerts": [{name: one[name] for name in _FIELDS} for one in found[:SHOWN]],
        "open": len(found),
        "tiles": [
            {
                "label": "Alerts nobody has seen",
                "value": len(unseen),
                "unit": f"of {len(found)} open",
                "good": not unseen,
            }
        ],
    }


panels = (
    Panel(
        "alerts",
        "Open alerts",
        Path(__file__).with_name("page.js"),
        every(EVERY_S, _collect),
        ways=(way("Alerts", "topic:alerts consumer:alerts store:Redis"),),
        place=50,
    ),
)
