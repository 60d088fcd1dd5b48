"""Define the keys of alerts in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.events import AlertState
from serving.store import Index, Rule, Write
from serving.times import document_of

RECENT = "alerts:recent"
"""The index of the alerts kept, by what was last told of each; a member is its alert_id."""
KEEP = 10_000
TIMES = ("event_time", "opened_at")

_ALERT = "alerts:alert:"
_ORDER: dict[AlertState, int] = {"open": 0, "still_open": 1, "cleared": 2}


def alert(alert_id: str) -> str:
    """Return the key of an alert."""
    return _ALERT + alert_id


def document(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an Alert as documents hold it; one without `opened_at` opened at its event_time."""
    opened = record["opened_at"]
    whole = {**record, "opened_at": record["event_time"] if opened is None else opened}
    return document_of(whole, TIMES)


def kept(record: Mapping[str, Any]) -> Write:
    """Return the write of an Alert; of two records the later one stays, and cleared is last."""
    alert_id = record["alert_id"]
    return Write(
        key=alert(alert_id),
        event_time=record["event_time"],
        sequence=_ORDER[record["state"]],
        data=orjson.dumps(document(record)),
        rule=Rule.NEWEST,
        index=Index(RECENT, KEEP, member=alert_id, evict=_ALERT),
    )
