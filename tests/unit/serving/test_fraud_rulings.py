"""Rules beside the model, in the consumer: decisions, records, a file that changes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from prometheus_client import CollectorRegistry

from config.files import write
from config.settings import ROOT
from ingestion.fraud.rules import load, watched
from orchestration.shelf.shelf import Shelf
from serving.fraud.consumer import TRAIN, Fraud
from serving.fraud.model import accept
from serving.fraud.ruling import Rulings
from tests.unit.serving.conftest import WriteModel
from tests.unit.serving.test_fraud import row, scored

RULES = """
rules:
  - {{name: many, words: More than 5 payments, action: {action},
      when: [{{field: customer_count_1h, gt: 5}}]}}
  - {{name: on-trial, words: An odd amount, action: block, mode: shadow,
      when: [{{field: amount, lt: 10}}]}}
"""


class Setting:
    """A consumer whose clock for its file of rules is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now = folder / "rules.yaml", 100.0
        shelf = Shelf(folder, accept, TRAIN)
        shelf.refresh()
        self.rulings = Rulings(watched(self.path, lambda: self.now))
        self.fraud = Fraud(shelf, now=lambda: 1_700_000_001.0075, rulings=self.rulings)
        self.registry = CollectorRegistry()
        self.fraud.register(self.registry)

    def edit(self, text: str) -> None:
        write(self.path, text)
        self.now += 0.5

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def setting(tmp_path: Path, write_model: WriteModel) -> Setting:
    write_model("m1")
    write(tmp_path / "rules.yaml", RULES.format(action="review"))
    return Setting(tmp_path)


def test_a_rule_raises_the_decision_and_the_record_says_so(setting: Setting) -> None:
    (result,) = setting.fraud.handle([row(amount=3.0, customer_count_1h=6)])
    record = scored(result)
    assert (record["decision"], record["model_decision"]) == ("review", "approve")
    assert (record["rules"], record["shadow_rules"]) == (["many"], ["on-trial"])
    assert record["rules_version"] == load(setting.path).version
    assert record["reasons"] == ["rule:many"]
    assert record["explanations"] == ["More than 5 payments"]
    assert orjson.loads(result.writes[0].data)["rules"] == ["many"]
    assert len(result.writes) == 2, "it enters the queue of reviews"
    assert (
        setting.metric("millrace_rule_hits_total", rule="many", mode="active", action="review")
        == 1.0
    )
    assert (
        setting.metric("millrace_rule_hits_total", rule="on-trial", mode="shadow", action="block")
        == 1.0
    )


def test_the_models_stronger_decision_stands_with_both_reasons(setting: Setting) -> None:
    (result,) = setting.fraud.handle([row(customer_count_1h=6)])
    record = scored(result)
    assert (record["decision"], record["model_decision"]) == ("block", "block")
    assert record["reasons"][:2] == ["rule:many", "amount"]
    assert record["explanations"][:2] == ["More than 5 payments", "Amount is 95.00"]


def test_an_edited_file_is_taken_and_a_mistake_is_not(setting: Setting) -> None:
    payment = row(amount=13.0, customer_count_1h=6)
    before = load(setting.path).version

    setting.edit("rules: [{name: many}]")
    (result,) = setting.fraud.handle([payment])
    assert (scored(result)["decision"], scored(result)["rules_version"]) == ("review", before)
    assert "the rules stay as they were" in (setting.fraud.notice() or "")
    assert "words, when, action missing" in (setting.fraud.notice() or "")
    assert setting.metric("millrace_rules_refused_total") == 1.0
    assert setting.metric("millrace_rules_info", version=before) == 1.0

    setting.edit(RULES.format(action="block"))
    (result,) = setting.fraud.handle([payment])
    assert scored(result)["decision"] == "block"
    assert scored(result)["rules_version"] != before
    assert setting.fraud.notice() is None


def test_without_usable_rules_payments_wait_until_there_are(
    tmp_path: Path, write_model: WriteModel
) -> None:
    write_model("m1")
    write(tmp_path / "rules.yaml", "rules: [")
    setting = Setting(tmp_path)
    assert "no usable rules" in (setting.fraud.missing() or "")
    setting.edit(RULES.format(action="block"))
    assert setting.fraud.missing() is None


def test_the_rules_of_this_repository_can_be_used() -> None:
    rules = load(ROOT / "config" / "rules.yaml").rules
    assert {"active", "shadow"} == {one.mode for one in rules}
