"""Show payments blocked or to be reviewed on the live page, and an analyst's cases on their own."""

from __future__ import annotations

from pathlib import Path

import orjson

from serving.api.context import Context
from serving.fraud import keys
from serving.page.panel import Document, Panel, Sheet, way

SHOWN = 14
_FIELDS = (
    "transaction_id",
    "customer_id",
    "terminal_id",
    "amount",
    "score",
    "decision",
    "reasons",
    "explanations",
    "event_time",
    "scored_at",
)

routers = ()


async def _collect(context: Context) -> Document:
    """Return the newest payments blocked or to be reviewed, as they stand in the store."""
    values = context.values
    names = {
        one.decode()
        for index in (keys.BLOCKED, keys.REVIEWS)
        for one in await values.newest(index, SHOWN)
    }
    stored = await values.get_many([keys.transaction(name) for name in sorted(names)])
    # An earlier decision on a payment may have stayed; a forgotten one is gone.
    known = [orjson.loads(data) for data in stored if data is not None]
    flagged = [one for one in known if one["decision"] != "approve"]
    flagged.sort(key=lambda one: (one["event_time"], one["transaction_id"]), reverse=True)
    return {"flagged": [{name: one.get(name) for name in _FIELDS} for one in flagged[:SHOWN]]}


panels = (
    Panel(
        "flagged",
        "Payments blocked and to review",
        Path(__file__).with_name("page.js"),
        _collect,
        ways=(
            way(
                "Payments",
                "topic:transactions job:fraud_features topic:fraud-features consumer:fraud "
                "store:Redis topic:fraud-scores",
            ),
        ),
        place=20,
    ),
)
sheets = (Sheet("reviews", "Reviews", Path(__file__).with_name("reviews.js")),)
