"""What the recommender remembers of visitors: their newest session, and the list they were shown.

Bounded: the visitor who was away longest is forgotten first, and keeps the list in the store.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from orchestration.recommendations.engine.item import Item


@dataclass(slots=True)
class Visitor:
    """One visitor.

    `shown` are the list's items, `digest` is of all that it says, `epoch` is the state of the index
    that it was made from, -1 none.
    """

    session: dict[str, Any]
    shown: tuple[str, ...] = ()
    digest: int = 0
    epoch: int = -1


@dataclass(slots=True)
class Hour:
    """Clicks of which it is known what was shown before them, and those that had been shown."""

    clicks: int = 0
    hits: int = 0


@dataclass(slots=True)
class Visitors:
    """Visitors by id, the one whose list is oldest first."""

    bound: int
    known: OrderedDict[str, Visitor] = field(default_factory=OrderedDict)
    pending: dict[str, None] = field(default_factory=dict)
    """Those who clicked and have no list since, the newest last."""

    def see(self, session: dict[str, Any]) -> bool:
        """Take in a session; return whether it is its visitor's newest."""
        user = session["user_id"]
        visitor = self.known.get(user)
        if visitor is None:
            self.known[user] = Visitor(session)
            self.pending[user] = None
            if len(self.known) > self.bound:
                gone, _ = self.known.popitem(last=False)
                self.pending.pop(gone, None)
            return True
        same = visitor.session["session_id"] == session["session_id"]
        if not same and session["event_time"] < visitor.session["event_time"]:
            return False
        visitor.session, visitor.epoch = session, -1
        self.pending.pop(user, None)
        self.pending[user] = None
        return True

    def newest(self, session: dict[str, Any]) -> bool:
        """Return whether nothing newer was taken in of its visitor, as far as is remembered."""
        visitor = self.known.get(session["user_id"])
        return visitor is None or visitor.session is session

    def leave(self, user: str, session_id: str) -> None:
        """Forget a visitor whose newest session there never was."""
        visitor = self.known.get(user)
        if visitor is not None and visitor.session["session_id"] == session_id:
            del self.known[user]
            self.pending.pop(user, None)

    def made(self, user: str, items: Sequence[Item], epoch: int) -> None:
        """Note the list that a visitor has now."""
        self.pending.pop(user, None)
        visitor = self.known.get(user)
        if visitor is None:
            return
        visitor.shown, visitor.epoch = tuple(one.item for one in items), epoch
        visitor.digest = hash(tuple(items))
        self.known.move_to_end(user)

    def waiting(self, most: int) -> list[Visitor]:
        """Return up to `most` visitors who clicked and have no list since, the newest first."""
        return [self.known[user] for user in islice(reversed(self.pending), most)]

    def due(self, epoch: int, most: int) -> list[Visitor]:
        """Return up to `most` visitors whose lists are older than the index, the oldest first."""
        found: list[Visitor] = []
        for visitor in self.known.values():
            if visitor.epoch >= epoch or len(found) == most:
                break
            found.append(visitor)
        return found
