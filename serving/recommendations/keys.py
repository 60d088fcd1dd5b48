"""Define the keys of recommendations in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from domain.times import iso
from orchestration.recommendations.engine.item import Item
from serving.store import Index, Rule, Write

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
HOURS = "recommendations:hours"
"""The index of the hours metered; a member is `hour/life`."""
POPULAR = "recommendations:popular"
"""What is popular now, for visitors of whom nothing is known."""
KEEP_HOURS = 24 * 8
WATCHED = "recommendations:watched"
"""The session and the list of one visitor who clicks now, for whoever looks on."""
WATCHED_TTL_MS = 60_000
CLICKS_SHOWN = 8

_HOUR = "recommendations:hour:"


def visitor(user_id: str) -> str:
    """Return the key of a visitor's list."""
    return f"recommendations:visitor:{user_id}"


def hour(member: str) -> str:
    """Return the key of an hour by its name in `HOURS`."""
    return _HOUR + member


def listed(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return items as documents and answers hold them."""
    return [
        {"item": one.item, "score": round(one.score, 6), "reason": f"{one.why} {one.of}".strip()}
        for one in items
    ]


def visitor_list(
    user_id: str, session: dict[str, Any], items: Sequence[Item], now_ms: int, ttl_ms: int
) -> Write:
    """Return the write of a visitor's list; of two lists the later session's, then clicks, stays.

    A list of the same session made later replaces an earlier one: others have clicked since.
    """
    document = {
        "user_id": user_id,
        "session_id": session["session_id"],
        "event_time": iso(session["event_time"]),
        "clicks": session["clicks"],
        "computed_at": iso(now_ms),
        "items": listed(items),
    }
    return Write(
        key=visitor(user_id),
        event_time=session["event_time"],
        sequence=now_ms,
        data=orjson.dumps(document),
        rule=Rule.NEWEST,
        ttl_ms=ttl_ms,
    )


def watched(session: Mapping[str, Any], made: Write, now_ms: int) -> Write:
    """Return the write of the watched visitor's last clicks beside the list `made` after them."""
    document = {
        **orjson.loads(made.data),
        "clicked": list(session["items"][-CLICKS_SHOWN:]),
        "actions": list(session["actions"][-CLICKS_SHOWN:]),
    }
    return Write(WATCHED, now_ms, 0, orjson.dumps(document), Rule.NEWEST, ttl_ms=WATCHED_TTL_MS)


def popular(items: Sequence[Item], now_ms: int) -> Write:
    """Return the write of what is popular now."""
    document = {"computed_at": iso(now_ms), "items": listed(items)}
    return Write(POPULAR, now_ms, 0, orjson.dumps(document), Rule.NEWEST)


def hour_of_hits(start: int, life: int, clicks: int, hits: int) -> Write:
    """Return the write of an hour's hits as one life of the consumer counted them."""
    member = f"{start}/{life}"
    return Write(
        key=hour(member),
        event_time=start,
        sequence=clicks,
        data=orjson.dumps({"hour": iso(start), "clicks": clicks, "hits": hits}),
        rule=Rule.NEWEST,
        index=Index(HOURS, KEEP_HOURS, member=member, evict=_HOUR),
        ttl_ms=KEEP_HOURS * HOUR_MS,
    )
