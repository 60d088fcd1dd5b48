"""A challenger beside the model in use: it tells, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import pytest
from prometheus_client import CollectorRegistry

from domain.events import Decision
from domain.fraud.graph import GRAPH
from domain.fraud.lists import Entry
from domain.fraud.rules import Rule
from ingestion import schema
from ingestion.wire.codec import RecordEncoder
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.consumers.product import Result
from serving.fraud.consumer import TRAIN, Fraud
from serving.fraud.model import Model, accept
from serving.fraud.ruling import Ruling
from serving.fraud.scoring import Scored
from serving.fraud.shadow import FAILURES, SLOW, Shadow
from tests.unit.serving.conftest import FEATURES, THRESHOLDS, WriteModel
from tests.unit.serving.test_fraud import row

HIT = Rule("many", "Many", (), "review")
ROWS = [row(f"t{amount}", float(amount)) for amount in range(5, 100, 6)]


class Setting:
    """A consumer with m1 in use, and models that may be named beside it."""

    def __init__(self, folder: Path, booster: lightgbm.Booster) -> None:
        self.folder, self.store = folder, Store(folder)
        # Fewer trees: other scores. It reads the columns in another order, too.
        text = booster.model_to_string(num_iteration=3)
        for version, feature_set in (("m2", GRAPH.version), ("old", "fraud-0")):
            self.store.publish(
                version,
                "lightgbm",
                {"model.txt": text.encode()},
                feature_set_version=feature_set,
                features=FEATURES,
                details={"thresholds": THRESHOLDS},
            )
        self.shelf = Shelf(folder, accept, TRAIN)
        self.shelf.refresh()
        self.fraud = Fraud(self.shelf, now=lambda: 1_700_000_001.0075)
        self.registry = CollectorRegistry()
        self.fraud.register(self.registry)

    def name(self, version: str) -> None:
        self.store.challenge(version)
        self.shelf.refresh()

    def states(self) -> dict[str, str]:
        (family,) = [one for one in self.registry.collect() if one.name == "millrace_shadow_info"]
        return {one.labels["model"]: one.labels["state"] for one in family.samples}

    def total(self, name: str, **labels: str) -> float:
        samples = (one for family in self.registry.collect() for one in family.samples)
        return sum(
            one.value
            for one in samples
            if one.name == name and labels.items() <= one.labels.items()
        )


@pytest.fixture
def setting(tmp_path: Path, write_model: WriteModel, booster: lightgbm.Booster) -> Setting:
    write_model("m1")
    return Setting(tmp_path, booster)


def told(results: list[Result]) -> Iterator[Any]:
    for result in results:
        for output in result.outputs[1:]:
            assert output.topic == "fraud-shadow-scores"
            assert output.key == (output.record or {})["transaction_id"]
            yield output.record


def test_it_scores_every_payment_and_changes_no_decision(setting: Setting) -> None:
    alone = setting.fraud.handle(ROWS)
    assert not list(told(alone))
    setting.name("m2")
    beside = setting.fraud.handle(ROWS)
    assert [(one.writes, one.outputs[0], one.origin) for one in beside] == [
        (one.writes, one.outputs[0], one.origin) for one in alone
    ]
    records = list(told(beside))
    assert [one["transaction_id"] for one in records] == [
        one.record["transaction_id"] for one in ROWS
    ]
    for one, result in zip(records, alone, strict=True):
        ours = result.outputs[0].record or {}
        assert (one["champion"], one["challenger"]) == ("m1", "m2")
        assert one["champion_score"] == ours["score"]
        assert one["champion_decision"] == ours["decision"]
        assert one["challenger_score"] != ours["score"]
    # Three small trees are nowhere sure enough to block.
    assert {"approve", "review"} >= {one["challenger_decision"] for one in records}
    assert "block" in {one["champion_decision"] for one in records}


def test_its_scores_are_those_that_it_gives_in_use(setting: Setting) -> None:
    setting.name("m2")
    beside = [one["challenger_score"] for one in told(setting.fraud.handle(ROWS))]
    setting.store.promote("m2")
    setting.shelf.refresh()
    used = setting.fraud.handle(ROWS)
    assert beside == [(one.outputs[0].record or {})["score"] for one in used]
    assert not list(told(used)), "what is in use is no challenger any more"
    assert setting.states() == {}
    assert setting.store.shadow() is None


def test_a_promotion_killed_before_its_end_leaves_no_challenger(setting: Setting) -> None:
    setting.store.promote("m2")
    (setting.folder / "shadow").write_text("m2\n")
    setting.shelf.refresh()
    assert not list(told(setting.fraud.handle(ROWS)))
    assert setting.states() == {}
    setting.store.promote("m2")  # typed again
    assert setting.store.shadow() is None


def test_what_is_told_fits_the_contract(setting: Setting) -> None:
    setting.name("m2")
    contract = schema.load("FraudShadowScore")
    for one in told(setting.fraud.handle(ROWS)):
        assert set(one) == {field["name"] for field in contract["fields"]}
        assert RecordEncoder(contract).record(one)


def test_differences_are_counted(setting: Setting) -> None:
    setting.name("m2")
    records = list(told(setting.fraud.handle(ROWS)))
    differing = [one for one in records if one["champion_decision"] != one["challenger_decision"]]
    assert differing
    payments = "millrace_shadow_payments_total"
    assert setting.total(payments, model="m2") == len(ROWS)
    assert setting.total(payments, differs="true") == len(differing)
    blocked = [one for one in differing if one["champion_decision"] == "block"]
    assert setting.total(payments, decision="block") == len(blocked)
    apart = sum(abs(one["champion_score"] - one["challenger_score"]) for one in records)
    assert setting.total("millrace_shadow_score_difference_total") == pytest.approx(apart)
    assert setting.states() == {"m2": "scoring"}


def test_it_comes_and_goes_while_the_consumer_runs(setting: Setting) -> None:
    setting.name("m2")
    assert len(list(told(setting.fraud.handle(ROWS)))) == len(ROWS)
    assert setting.store.unchallenged() == "m2"
    setting.shelf.refresh()
    assert not list(told(setting.fraud.handle(ROWS)))
    assert setting.states() == {}


def test_rows_of_another_feature_set_are_not_for_it(setting: Setting) -> None:
    setting.name("old")
    assert not list(told(setting.fraud.handle(ROWS)))
    assert setting.total("millrace_shadow_failures_total") == 0


@pytest.mark.parametrize("damage", ["artefact", "card", "unknown"])
def test_one_that_is_refused_is_told_and_disturbs_nothing(setting: Setting, damage: str) -> None:
    setting.name("m2")
    setting.store.unchallenged()
    if damage == "unknown":
        (setting.folder / "shadow").write_text("m9\n")
    else:
        name = {"artefact": "model.txt", "card": "model.json"}[damage]
        setting.store.challenge("m2")
        (setting.folder / "m2" / name).write_text("tree")
    setting.shelf.refresh()
    assert len(setting.fraud.handle(ROWS)) == len(ROWS)
    assert not list(told(setting.fraud.handle(ROWS)))
    assert list(setting.states().values()) == ["refused"]
    assert (setting.fraud.missing(), setting.fraud.waiting(), setting.fraud.notice()) == (
        None,
        None,
        None,
    )


def test_one_that_fails_is_set_aside_until_it_is_named_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.name("m2")
    by, asked = Scored.by, 0

    def broken(model: Model, *given: Any) -> Scored:
        nonlocal asked
        if model.version == "m2":
            asked += 1
            raise MemoryError("it wants more than there is")
        return by(model, *given)

    monkeypatch.setattr("serving.fraud.shadow.Scored.by", broken)
    for _ in range(FAILURES + 2):
        results = setting.fraud.handle(ROWS)
        assert [(one.outputs[0].record or {})["model_version"] for one in results] == ["m1"] * len(
            ROWS
        )
        assert not list(told(results))
    assert asked == FAILURES, "it is asked no more"
    assert setting.total("millrace_shadow_failures_total", model="m2") == FAILURES
    assert setting.states() == {"m2": "failing"}
    assert setting.fraud.notice() is None
    monkeypatch.setattr("serving.fraud.shadow.Scored.by", by)
    setting.name("m2")
    assert len(list(told(setting.fraud.handle(ROWS)))) == len(ROWS)
    assert setting.states() == {"m2": "scoring"}


@pytest.mark.parametrize(("seconds", "state"), [(0.05, "slow"), (0.01, "scoring")])
def test_one_that_would_delay_decisions_is_set_aside(
    setting: Setting, seconds: float, state: str
) -> None:
    setting.name("m2")
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += seconds
        return now

    shadow = Shadow(setting.shelf, clock)
    setting.registry = CollectorRegistry()
    shadow.register(setting.registry)
    model = setting.shelf.model(GRAPH.version)
    assert model is not None
    scored = Scored.by(model, ROWS)
    ruled = setting.fraud._ruled(scored, ROWS)
    times = [any(shadow.beside(scored, ROWS, ruled, 0)) for _ in range(SLOW + 3)]
    assert sum(times) == (SLOW if state == "slow" else SLOW + 3)
    assert setting.states() == {"m2": state}
    assert setting.total("millrace_shadow_seconds_total") == pytest.approx(seconds * sum(times))


@pytest.mark.parametrize(
    ("stands", "listed", "hits", "would"),
    [
        ("block", [Entry("blocked", "customer", "c1", 0)], [], "block"),
        ("approve", [Entry("trusted", "terminal", "m1", 0)], [], "approve"),
        ("review", [Entry("trusted", "terminal", "m1", 0)], [HIT], "review"),
        ("review", [], [HIT], "review"),
    ],
)
def test_lists_and_rules_hold_for_both(
    setting: Setting, stands: Decision, listed: list[Entry], hits: list[Rule], would: str
) -> None:
    setting.name("m2")
    small = [row("t1", 3.0)]
    model = setting.shelf.model(GRAPH.version)
    assert model is not None
    shadow, ruling = Shadow(setting.shelf), Ruling(stands, hits, "v1", listed)
    ((output,),) = shadow.beside(Scored.by(model, small), small, [ruling], 0)
    record = output.record or {}
    assert (record["champion_decision"], record["challenger_decision"]) == (stands, would)


def test_a_probe_is_no_payment(setting: Setting) -> None:
    setting.name("m2")
    assert setting.fraud.probe()
    assert setting.total("millrace_shadow_payments_total") == 0
