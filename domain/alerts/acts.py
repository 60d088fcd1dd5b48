"""What people did about alerts: acknowledged one, or silenced some for a while.

An act names its subject. Of two acts on one, that which stands later in the log counts, as it does
for Kafka's compaction, whoever's clock is wrong, and however often they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from domain.times import iso

TIMES = ("event_time", "until")


def acknowledgement(alert_id: str, *, now: int, by: str = "", note: str = "") -> dict[str, Any]:
    """Return the AlertAct that acknowledges an alert."""
    return _act(_ack(alert_id), "ack", now, by, note) | {"alert_id": alert_id}


def silence(
    entity: str, kind: str, *, now: int, until: int, by: str = "", note: str = ""
) -> dict[str, Any]:
    """Return the AlertAct that silences an entity, a kind of alert, or both; until now lifts it.

    Raise ValueError if neither is named: everything is not to be silenced by a slip.
    """
    if not entity and not kind:
        raise ValueError("a silence names an entity, a kind of alert, or both")
    said = {"entity": entity, "kind": kind, "until": until}
    return _act(_silence(entity, kind), "silence", now, by, note) | said


def subjects(alert: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every subject whose act may bear on an alert, its acknowledgement first."""
    entity, kind = alert["entity"], alert["kind"]
    pairs = ((entity, kind), (entity, ""), ("", kind))
    return (_ack(alert["alert_id"]), *(_silence(*pair) for pair in pairs))


class Acts:
    """The acts that count, by subject."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Mapping[str, Any]]] = {}

    def take(self, act: Mapping[str, Any], place: int) -> None:
        """Take up an act by its place in the log, unless a later one on its subject is known."""
        known = self._known.get(act["subject"])
        if known is None or place >= known[0]:
            self._known[act["subject"]] = (place, act)

    def acknowledged(self, alert: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the acknowledgement of an alert, if there is one."""
        return self._act(subjects(alert)[0])

    def silenced_until(self, alert: Mapping[str, Any], now: int) -> int | None:
        """Return until when an alert is silenced, None if it is not."""
        acts = map(self._act, subjects(alert)[1:])
        ends = [act["until"] for act in acts if act is not None and (act["until"] or 0) > now]
        return max(ends, default=None)

    def about(self, alert: Mapping[str, Any], now: int) -> dict[str, Any]:
        """Return what documents of an alert say of its acts."""
        seen, until = self.acknowledged(alert), self.silenced_until(alert, now)
        told = None
        if seen is not None:
            told = {"by": seen["by"], "note": seen["note"], "at": iso(seen["event_time"])}
        return {"acknowledged": told, "silenced_until": None if until is None else iso(until)}

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()

    def _act(self, subject: str) -> Mapping[str, Any] | None:
        known = self._known.get(subject)
        return None if known is None else known[1]


def _act(subject: str, act: str, now: int, by: str, note: str) -> dict[str, Any]:
    return {
        "subject": subject,
        "event_time": now,
        "act": act,
        "alert_id": "",
        "entity": "",
        "kind": "",
        "until": None,
        "by": by,
        "note": note,
    }


def _ack(alert_id: str) -> str:
    return f"ack/{quote(alert_id, safe='')}"


def _silence(entity: str, kind: str) -> str:
    return f"silence/{quote(entity, safe='')}/{quote(kind, safe='')}"
