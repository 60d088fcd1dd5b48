"""Turn what Alertmanager tells by its webhook into alerts of the platform. Pure logic.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.alerts.episodes import SEVERITIES

OURS = "alert_id"
"""The label of an alert that Alertmanager has from `alerts`: it would go round for ever."""
PRODUCT = "platform"
MARK = "prometheus"
"""The detail of an alert that Alertmanager has told of."""


def record(alert: Mapping[str, Any], starts: int, ends: int | None) -> dict[str, Any] | None:
    """Return the Alert that one of a notification's alerts is; None for one that came from us.

    `starts` and `ends` are its times in ms, `ends` None while it fires. The same word of it, told
    again, is the same record: its id follows from its labels and from when it began.
    """
    labels: Mapping[str, str] = alert["labels"]
    if OURS in labels:
        return None
    notes: Mapping[str, str] = alert.get("annotations", {})
    name = labels.get("alertname", "unnamed")
    given = labels.get("severity", "")
    return {
        "alert_id": f"{name}/{alert['fingerprint']}/{starts}",
        "entity": labels.get("entity") or name,
        "event_time": starts if ends is None else max(ends, starts),
        "kind": name,
        "severity": next((one for one in SEVERITIES if one == given), "warning"),
        "message": notes.get("summary") or name,
        "details": {
            **labels,
            **{key: text for key, text in notes.items() if key != "summary"},
            MARK: alert.get("generatorURL", ""),
        },
        "state": "open" if ends is None else "cleared",
        "opened_at": starts,
        "product": labels.get("product") or PRODUCT,
        "score": None,
        "location": None,
    }
