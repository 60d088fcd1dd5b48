"""Declare rules: what is looked at, how long it must hold, and what is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from monitoring.pace import Pace

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Record:
    """An expression that Prometheus keeps under a name of its own. `needs`: its group."""

    name: str
    expr: str
    needs: str = "core"


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that people hear of once it has held for `hold`.

    `expr` is PromQL with windows such as `[5m]`, which a drill shortens. `entity` is a template of
    what the alert is about, `summary` one of the sentence that a person reads. `needs` is the group
    without which the condition cannot be.
    """

    name: str
    expr: str
    hold: str
    severity: Severity
    summary: str
    entity: str
    product: str = "platform"
    needs: str = "core"

    @property
    def anchor(self) -> str:
        """Return the anchor of its runbook, a heading with its name."""
        return self.name.lower()


def document(
    records: Iterable[Record], alerts: Iterable[Alert], pace: Pace, runbooks: str
) -> dict[str, Any]:
    """Return a file of rules; `runbooks` is the page that every alert links to."""
    groups = [
        {
            "name": "records",
            "rules": [{"record": one.name, "expr": pace.expression(one.expr)} for one in records],
        },
        {
            "name": "alerts",
            "rules": [_alert(one, pace, runbooks) for one in alerts],
        },
    ]
    return {"groups": [one for one in groups if one["rules"]]}


def _alert(alert: Alert, pace: Pace, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": pace.expression(alert.expr),
        "for": f"{pace.wait(alert.hold)}s",
        "labels": {
            "severity": alert.severity,
            "product": alert.product,
            "entity": alert.entity,
        },
        "annotations": {
            "summary": alert.summary,
            "runbook_url": f"{runbooks}#{alert.anchor}",
        },
    }
