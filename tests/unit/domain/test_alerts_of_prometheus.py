"""What Alertmanager tells, as alerts of the platform."""

from __future__ import annotations

from typing import Any

from domain.alerts.prometheus import record

FIRING: dict[str, Any] = {
    "status": "firing",
    "labels": {
        "alertname": "ConsumerLag",
        "severity": "warning",
        "entity": "millrace-fraud",
        "product": "platform",
        "group": "millrace-fraud",
    },
    "annotations": {"summary": "millrace-fraud is 500 behind", "runbook_url": "docs/runbooks.md#x"},
    "fingerprint": "2ce0098527a0c628",
    "generatorURL": "http://prometheus/graph",
}


def test_one_that_fires_is_open() -> None:
    found = record(FIRING, 1000, None)
    assert found is not None
    assert found["alert_id"] == "ConsumerLag/2ce0098527a0c628/1000"
    assert (found["entity"], found["kind"]) == ("millrace-fraud", "ConsumerLag")
    assert (found["state"], found["event_time"], found["opened_at"]) == ("open", 1000, 1000)
    assert found["message"] == "millrace-fraud is 500 behind"
    assert found["details"]["group"] == "millrace-fraud"
    assert found["details"]["runbook_url"] == "docs/runbooks.md#x"
    assert "summary" not in found["details"]


def test_told_again_it_is_the_same_record() -> None:
    assert record(FIRING, 1000, None) == record({**FIRING}, 1000, None)


def test_one_that_is_over_is_cleared_under_its_id() -> None:
    found, before = record(FIRING, 1000, 5000), record(FIRING, 1000, None)
    assert found is not None
    assert before is not None
    assert found["alert_id"] == before["alert_id"]
    assert (found["state"], found["event_time"]) == ("cleared", 5000)


def test_one_that_alertmanager_has_from_us_is_left_out() -> None:
    ours = {**FIRING, "labels": {**FIRING["labels"], "alert_id": "boiler-7/1"}}
    assert record(ours, 1000, None) is None


def test_an_alert_of_others_needs_no_more_than_its_labels() -> None:
    bare = {"labels": {"severity": "page"}, "fingerprint": "f"}
    found = record(bare, 1000, None)
    assert found is not None
    assert (found["kind"], found["entity"], found["severity"]) == ("unnamed", "unnamed", "warning")
    assert found["product"] == "platform"
