"""Define the keys of alerts in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.alerts.episodes import STATES, document
from serving.store import Index, Rule, Write

RECENT = "alerts:recent"
"""The index of the alerts kept, by what was last told of each; a member is its alert_id."""
KEEP = 10_000

_ALERT = "alerts:alert:"


def alert(alert_id: str) -> str:
    """Return the key of an alert."""
    return _ALERT + alert_id


def kept(record: Mapping[str, Any]) -> Write:
    """Return the write of an Alert; of two records the later one stays, and cleared is last."""
    alert_id = record["alert_id"]
    return Write(
        key=alert(alert_id),
        event_time=record["event_time"],
        sequence=STATES.index(record["state"]),
        data=orjson.dumps(document(record)),
        rule=Rule.NEWEST,
        index=Index(RECENT, KEEP, member=alert_id, evict=_ALERT),
    )
