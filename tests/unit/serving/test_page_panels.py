"""What the panels of stock, alerts and sensors choose, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from config.clock import now_ms
from config.settings import Settings
from domain.alerts.acts import acknowledgement
from serving.alerts import page as of_alerts
from serving.alerts.consumer import Alerts
from serving.api.context import Context
from serving.consumers.product import Incoming, Result
from serving.inventory import page as of_inventory
from serving.inventory.consumer import Inventory
from serving.sensors import page as of_sensors
from serving.sensors.consumer import Sensors
from tests.unit.domain.inventory import DAY, entry
from tests.unit.serving.api_parts import MemoryValues
from tests.unit.serving.test_alert_acting import done
from tests.unit.serving.test_alerts import told
from tests.unit.serving.test_inventory import rows
from tests.unit.serving.test_sensors import limits, rejected, scored

pytestmark = pytest.mark.anyio


def keep(values: MemoryValues, results: Iterable[Result]) -> None:
    for one in results:
        values.store.apply(one.writes)


async def collected(module: ModuleType, values: MemoryValues) -> dict[str, Any]:
    (panel,) = module.panels
    context = SimpleNamespace(values=values, settings=Settings())
    found: dict[str, Any] = await panel.collect(cast("Context", context))
    return found


async def test_alerts_that_nobody_has_seen_come_first_and_the_gravest_of_them() -> None:
    values = MemoryValues()
    alerts: list[Incoming] = [
        told("info/1", 9, severity="info"),
        told("old/1", 1, severity="critical"),
        told("new/1", 5, severity="critical"),
        told("seen/1", 8, severity="critical"),
        told("over/1", 7, state="cleared"),
    ]
    keep(values, Alerts().handle(alerts))
    done(values, acknowledgement("seen/1", now=now_ms(), by="ada"))
    found = await collected(of_alerts, values)
    ids = [one["alert_id"] for one in found["alerts"]]
    assert ids == ["new/1", "old/1", "info/1", "seen/1"]
    assert found["alerts"][-1]["acknowledged"]["by"] == "ada"
    (tile,) = found["tiles"]
    assert (tile["value"], tile["unit"], tile["good"]) == (3, "of 4 open", False)


async def test_what_runs_out_first_is_at_the_head() -> None:
    values, now = MemoryValues(), now_ms()
    log = []
    for item, stock, sold in (("late", 300, 11), ("soon", 300, 14), ("ample", 9000, 1)):
        log.append(entry("count", stock, now - 20 * DAY, item_id=item))
        log += [entry("sale", sold, now - day * DAY, item_id=item) for day in range(19, 0, -1)]
    log.append(entry("count", 5, now, item_id="idle"))  # low, but it does not sell
    keep(values, Inventory().handle(rows(log)))
    found = await collected(of_inventory, values)
    assert [one["item_id"] for one in found["items"]] == ["soon", "late", "idle"]
    # By hand: 300 less 19 sales of 14, at 14 a day.
    soon = found["items"][0]
    assert soon["level"] == 34
    assert soon["run_out"]["days"] == pytest.approx(34 / 14, rel=0.15)
    assert soon["forecast"] is None
    assert found["tiles"][0]["value"] == 3


async def test_sensors_in_alert_come_first_and_leave_points_of_their_scores() -> None:
    values, second = MemoryValues(), now_ms() // 1000
    readings = [
        scored("a", second, score=0.25, value=1.5),
        scored("z", second, score=0.75, alert_id="z/1", findings=("HIGH_TEMP",)),
        rejected("m", second, second),
    ]
    keep(values, Sensors(limits).handle(readings))
    found = await collected(of_sensors, values)
    states = [(one["sensor_id"], one["state"]) for one in found["sensors"]]
    assert states == [("z", "alert"), ("m", "rejected"), ("a", "ok")]
    assert [one["why"] for one in found["sensors"]] == [["HIGH_TEMP"], ["stale", "time"], []]
    assert found["sensors"][2]["measured"] == {"value": 1.5}
    assert found["point"]["scores"] == {"z": 0.75, "a": 0.25}
    assert found["states"] == {"alert": 1, "rejected": 1, "ok": 1}
