"""Define the keys of alerts in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.alerts.episodes import STATES, document, momentary
from serving.store import Index, Rule, Write

RECENT = "alerts:recent"
"""The index of the alerts kept, by what was last told of each; a member is its alert_id."""
MOMENTS = "alerts:moments"
"""The same of alerts of a moment: however many there are, they evict none that is open."""
KEEP = 10_000

SILENCES = "alerts:silences"
"""The index of the acts that silence, by their place in the log; a member is its subject."""
KEEP_SILENCES = 1_000

_ALERT = "alerts:alert:"
_ACT = "alerts:act:"
_AFTER_TIMES = 1 << 50
"""Later than any time: acts that a release before stored by their time are replaced."""


def alert(alert_id: str) -> str:
    """Return the key of an alert."""
    return _ALERT + alert_id


def act(subject: str) -> str:
    """Return the key of the act that counts on a subject (domain/alerts/acts.py)."""
    return _ACT + subject


def done(record: Mapping[str, Any], offset: int) -> Write:
    """Return the write of an AlertAct; of two on a subject that later in the log stays."""
    silences = Index(SILENCES, KEEP_SILENCES, member=record["subject"])
    return Write(
        key=act(record["subject"]),
        event_time=_AFTER_TIMES + offset,
        sequence=offset,
        data=orjson.dumps(dict(record)),
        rule=Rule.NEWEST,
        index=silences if record["act"] == "silence" else None,
    )


def kept(record: Mapping[str, Any]) -> Write:
    """Return the write of an Alert; of two records the later one stays, and cleared is last."""
    alert_id, index = record["alert_id"], MOMENTS if momentary(record) else RECENT
    return Write(
        key=alert(alert_id),
        event_time=record["event_time"],
        sequence=STATES.index(record["state"]),
        data=orjson.dumps(document(record)),
        rule=Rule.NEWEST,
        index=Index(index, KEEP, member=alert_id, evict=_ALERT),
    )
