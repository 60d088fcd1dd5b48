"""What visitors have bought lately, in whichever of their sessions.

Bounded: who has not bought for longest is forgotten first. What is known depends on the sessions as
they stand, not on the order they came in.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from serving.recommendations import keys

LATELY_MS = 7 * keys.DAY_MS
"""How long a purchase keeps an item out of its buyer's lists, in event time."""
MOST = 200
"""Items of one visitor, those bought last."""
BOUGHT = "transaction"


@dataclass(slots=True)
class Purchases:
    """Items by visitor, with the time of the newest click of the session that bought them."""

    bound: int
    known: OrderedDict[str, dict[str, int]] = field(default_factory=OrderedDict)

    def see(self, session: dict[str, Any]) -> None:
        """Take in a session."""
        if BOUGHT not in session["actions"]:
            return
        user, time = session["user_id"], session["event_time"]
        mine = self.known.setdefault(user, {})
        self.known.move_to_end(user)
        for item, action in zip(session["items"], session["actions"], strict=True):
            if action == BOUGHT:
                mine[item] = max(time, mine.get(item, time))
        if len(mine) > MOST:
            newest = sorted(mine.items(), key=lambda one: (one[1], one[0]))[-MOST:]
            self.known[user] = dict(newest)
        if len(self.known) > self.bound:
            self.known.popitem(last=False)

    def lately(self, session: dict[str, Any]) -> list[str]:
        """Return what the session's visitor bought within `LATELY_MS` before its newest click."""
        mine = self.known.get(session["user_id"])
        if not mine:
            return []
        since = session["event_time"] - LATELY_MS
        return [item for item, time in mine.items() if time > since]
