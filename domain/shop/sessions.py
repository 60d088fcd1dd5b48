"""Specify a visitor's sessions: what the kernel's `sessionize` computes, in plain Python.

A click belongs to a session if it lies within `gap_ms` of any of its clicks, in event time. Each
click is answered at once with its session as it stands then. Clicks may arrive in any order: one
that lies between two sessions joins them. Whatever the order, the same sessions come of the same
clicks, as long as none is late.

**Ids.** A session is called after the click that opened it. Of sessions that are joined the one
that started first lives on, and each of the others is told of once more: without items, and with
the id of the one it was merged into.

**Bounds.** Of a session the newest clicks are kept, `items` of them and `text_bytes` of UTF-8 at
most; the others are only counted. Of a visitor the sessions are kept that a click could still
join that is no more than `horizon_ms` older than the visitor's newest.

**Duplicates.** A click with the id and the time of one that is kept changes nothing.

**Late.** A click beyond the horizon changes nothing, and is told of as late. So is one that lies
within its session among the clicks that are only counted: whether it is one of them is not known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from domain.events import Session, ShopEvent

MINUTE_MS, DAY_MS = 60_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Sessionization:
    """Declare the gap that ends a session, and what is kept of sessions.

    `keep_idle_ms` is wall time: a visitor who has not clicked for so long leaves the state.
    """

    gap_ms: int = 30 * MINUTE_MS
    horizon_ms: int = DAY_MS
    items: int = 50
    text_bytes: int = 65_536
    keep_idle_ms: int = 7 * DAY_MS

    def spec(self) -> dict[str, object]:
        """Return the kernel's argument."""
        return {
            "version": 1,
            "id": "event_id",
            "time": "event_time",
            "item": "item_id",
            "action": "event_type",
            "gap_ms": self.gap_ms,
            "horizon_ms": self.horizon_ms,
            "items": self.items,
            "text_bytes": self.text_bytes,
            "keep_idle_ms": self.keep_idle_ms,
        }


SESSIONS = Sessionization()


@dataclass(slots=True)
class _Open:
    """A session that clicks may still join; `kept` are its newest clicks by event time."""

    session_id: str
    started: int
    newest: int
    clicks: int
    kept: list[ShopEvent]

    @property
    def is_cut(self) -> bool:
        """Return whether some of its clicks are only counted."""
        return self.clicks > len(self.kept)


@dataclass(slots=True)
class _Visitor:
    newest: int
    sessions: list[_Open] = field(default_factory=list)
    """The oldest first; more than the gap lies between any two."""


class Sessions:
    """The sessions of all visitors, from their clicks in the order of arrival."""

    def __init__(self, declared: Sessionization = SESSIONS) -> None:
        self._declared = declared
        self._visitors: dict[str, _Visitor] = {}

    def click(self, click: ShopEvent) -> list[Session]:
        """Return the records that a click causes, in the topic's order.

        None for a duplicate; else the click's session, after those that it has taken over.
        """
        visitor = self._visitors.setdefault(click.user_id, _Visitor(click.event_time))
        if click.event_time < visitor.newest - self._declared.horizon_ms:
            return [_late(click)]
        near = [one for one in visitor.sessions if self._joins(click, one)]
        for session in near:
            if any(_same(click, other) for other in session.kept):
                return []
            if session.started <= click.event_time and not _after_the_cut(click, session):
                return [_late(click)]
        joined = self._joined(near, click)
        visitor.newest = max(visitor.newest, click.event_time)
        rest = [one for one in visitor.sessions if one not in near]
        visitor.sessions = [one for one in (*rest, joined) if self._is_in_reach(one, visitor)]
        visitor.sessions.sort(key=lambda one: one.started)
        answer = _record(joined, click)
        gone = near[1:]
        return [*(_merged(one, answer) for one in gone), answer]

    def _joins(self, click: ShopEvent, session: _Open) -> bool:
        gap = self._declared.gap_ms
        return session.started - gap <= click.event_time <= session.newest + gap

    def _is_in_reach(self, session: _Open, visitor: _Visitor) -> bool:
        """Return whether a click that is not late may still join the session."""
        oldest = visitor.newest - self._declared.horizon_ms
        return session.newest + self._declared.gap_ms >= oldest

    def _joined(self, near: Sequence[_Open], click: ShopEvent) -> _Open:
        """Return the session of a click and of all the sessions that it joins, the oldest first."""
        if not near:
            return _Open(
                click.event_id, click.event_time, click.event_time, 1, self._newest([click])
            )
        times = [click.event_time, *(one.started for one in near), *(one.newest for one in near)]
        return _Open(
            session_id=near[0].session_id,
            started=min(times),
            newest=max(times),
            clicks=1 + sum(one.clicks for one in near),
            kept=self._newest(_without_a_hole(near, click)),
        )

    def _newest(self, clicks: Sequence[ShopEvent]) -> list[ShopEvent]:
        """Return the newest of clicks in order of time, as many as may be kept."""
        size, kept = 0, len(clicks)
        while kept and len(clicks) - kept < self._declared.items:
            size += _text_bytes(clicks[kept - 1])
            if size > self._declared.text_bytes:
                break
            kept -= 1
        return list(clicks[kept:])


def _without_a_hole(near: Sequence[_Open], click: ShopEvent) -> list[ShopEvent]:
    """Return all kept clicks and the new one in order of time, equal times in that of arrival.

    What is older than clicks that are only counted is only counted, too.
    """
    clicks: list[ShopEvent] = []
    for session in near:
        if session.is_cut:
            clicks = []
        clicks += session.kept
    newest_cut = next((one for one in reversed(near) if one.is_cut), None)
    if newest_cut is None or click.event_time >= newest_cut.started:
        place = bisect_right([one.event_time for one in clicks], click.event_time)
        clicks.insert(place, click)
    return clicks


def _after_the_cut(click: ShopEvent, session: _Open) -> bool:
    """Return whether the click is newer than all of the session's that are only counted."""
    if not session.is_cut or click.event_time > session.newest:
        return True
    return bool(session.kept) and click.event_time > session.kept[0].event_time


def _same(click: ShopEvent, other: ShopEvent) -> bool:
    return (click.event_time, click.event_id) == (other.event_time, other.event_id)


def _text_bytes(click: ShopEvent) -> int:
    return len(click.item_id.encode()) + len(click.event_type.encode())


def _record(session: _Open, click: ShopEvent) -> Session:
    return Session(
        session_id=session.session_id,
        user_id=click.user_id,
        event_id=click.event_id,
        event_time=session.newest,
        started=session.started,
        clicks=session.clicks,
        items=tuple(one.item_id for one in session.kept),
        actions=tuple(one.event_type for one in session.kept),
    )


def _merged(gone: _Open, answer: Session) -> Session:
    return replace(
        answer,
        session_id=gone.session_id,
        event_time=gone.newest,
        started=gone.started,
        items=(),
        actions=(),
        merged_into=answer.session_id,
    )


def _late(click: ShopEvent) -> Session:
    return Session(
        session_id=click.event_id,
        user_id=click.user_id,
        event_id=click.event_id,
        event_time=click.event_time,
        started=click.event_time,
        clicks=0,
        late=True,
    )
