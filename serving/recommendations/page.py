"""Show a visitor who clicks, and the list that changes, on the live page."""

from __future__ import annotations

from pathlib import Path

import orjson

from serving.api.context import Context
from serving.page.panel import Document, Panel, way
from serving.recommendations import keys

routers = ()


async def _collect(context: Context) -> Document:
    """Return the visitor who is watched, and what is popular."""
    watched, popular = await context.values.get_many([keys.WATCHED, keys.POPULAR])
    return {
        "visitor": None if watched is None else orjson.loads(watched),
        "popular": [] if popular is None else orjson.loads(popular)["items"],
    }


panels = (
    Panel(
        "visitor",
        "A visitor clicks, the list changes",
        Path(__file__).with_name("page.js"),
        _collect,
        ways=(
            way(
                "Clicks to recommendations",
                "topic:shop-events job:recommendations topic:sessions consumer:recommender "
                "store:Redis",
            ),
        ),
        place=30,
    ),
)
