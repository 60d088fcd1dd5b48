"""Limits as the file declares them, and mistakes told with their place."""

from __future__ import annotations

from typing import Any

import pytest

from config.files import mapping
from config.settings import ROOT
from domain.declared import DeclaredError
from domain.sensors.kinds import Dynamic, Range, Threshold
from domain.sensors.limits import parse


def test_a_type_has_what_the_default_has_unless_it_says_otherwise() -> None:
    found = parse(
        {
            "types": {
                "default": {
                    "ranges": {"value": [0, 1], "temperature": [2, 3]},
                    "thresholds": [{"kind": "A", "above": 5}],
                    "dynamic": [{"kind": "B"}],
                    "criticality": "low",
                },
                "other": {
                    "ranges": {"temperature": [4, 5]},
                    "thresholds": [{"kind": "C", "below": 5}],
                    "fresh_s": 7,
                },
                "bare": None,
            },
            "assets": {"pump": "high"},
        }
    )
    other = found.of("other")
    assert other.ranges == {"value": Range(0, 1), "temperature": Range(4, 5)}
    assert other.rules == (Threshold("C", below=5), Dynamic("B"))
    assert (other.name, other.fresh_s, other.off_s) == ("other", 7, 86_400.0)
    assert found.of("never heard of") is found.of("default")
    assert found.of("bare").rules == found.of("default").rules
    assert found.criticality(other, "pump") == "high"
    assert found.criticality(other, "unknown") == found.criticality(other, None) == "low"


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"kinds": {}}, "unknown: kinds"),
        ({"types": []}, "types: not a mapping"),
        ({"types": {"default": {"rnages": {}}}}, r"types\.default\.rnages: unknown"),
        ({"types": {"x": {"ranges": {"value": [2, 1]}}}}, "the lower one first"),
        ({"types": {"x": {"ranges": {"weight": [1, 2]}}}}, "'weight' is none of value, temp"),
        ({"types": {"x": {"required": ["status"]}}}, "'status' is none of"),
        ({"types": {"x": {"fresh_s": "5"}}}, "'5' is no number"),
        ({"types": {"x": {"jumps": [{"field": "value"}]}}}, "missing 1 required .* 'kind'"),
        ({"types": {"x": {"jumps": [{"kind": "J", "size": 5}]}}}, "unknown: size"),
        ({"types": {"x": {"jumps": [{"kind": "J", "by": "5"}]}}}, r"jumps\.by: '5' is no number"),
        ({"types": {"x": {"jumps": [{"kind": "J", "weight": 0}]}}}, "a weight is above 0"),
        ({"types": {"x": {"thresholds": [{"kind": "T"}]}}}, "one of above, below and equals"),
        (
            {"types": {"x": {"thresholds": [{"kind": "T", "field": "state", "equals": "BAD"}]}}},
            "'state' is none of status",
        ),
        ({"types": {"x": {"jumps": [{"kind": 5}]}}}, r"jumps\.kind: 5 is no text"),
        ({"types": {"x": {"dynamic": [{"kind": "D", "readings": 0}]}}}, "readings is at least 1"),
        ({"types": {"x": {"alert_at": 0}}}, "alert_at: above 0"),
        ({"types": {"x": {"remind_s": float("inf")}}}, "inf is no number"),
        ({"types": {"x": {"alert_at": float("nan")}}}, "nan is no number"),
        (
            {"types": {"x": {"jumps": [{"kind": "J"}], "rising": [{"kind": "J"}]}}},
            "J is declared twice",
        ),
        ({"assets": {"pump": "very"}}, r"assets\.pump: 'very' is none of low, normal, high"),
    ],
)
def test_a_mistake_is_told_with_its_place(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclaredError, match=words):
        parse(declared)


def test_the_shipped_file_has_the_published_limits() -> None:
    found = parse(mapping(ROOT / "config" / "sensors.yaml"))
    default = found.of("default")
    assert default.ranges["value"] == Range(-100, 100)
    assert default.ranges["temperature"] == Range(-20, 80)
    assert found.of("outdoor").ranges["temperature"] == Range(-50, 50)
    assert (default.fresh_s, default.off_s) == (300, 86_400)
    bounds = {
        rule.kind: (rule.above, rule.below) for rule in default.rules if isinstance(rule, Threshold)
    }
    assert bounds["HIGH_TEMP"] == (30, None)
    assert bounds["LOW_TEMP"] == (None, 10)
    assert bounds["HIGH_HUMIDITY"] == (80, None)
