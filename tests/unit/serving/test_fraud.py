from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from config.errors import RetryableError
from config.settings import Settings
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from ingestion import schema
from ingestion.wire.codec import RecordEncoder
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.consumers.product import Incoming, Result
from serving.fraud import consumer, keys
from serving.fraud.consumer import TRAIN, Fraud, make
from serving.fraud.model import accept
from serving.store import MemoryStore
from tests.unit.serving.conftest import WriteModel


def row(name: str = "t1", amount: float = 95.0, **changes: Any) -> Incoming:
    record = {
        "transaction_id": name,
        "event_time": 1_700_000_000_123,
        "customer_id": "c1",
        "terminal_id": "m1",
        "amount": amount,
        "sequence": 7,
        "produced_at": 1_700_000_001_000,
        "late": False,
        "feature_set_version": GRAPH.version,
        **dict.fromkeys(name for name in FRAUD.features if name != "amount"),
        "terminal_risk_7d": 0.5,
        **changes,
    }
    return Incoming(record, timestamp=1_700_000_001_005, offset=3)


def scored(result: Result) -> Mapping[str, Any]:
    """The FraudScore of a result."""
    (output,) = result.outputs
    assert output.record is not None
    assert (output.topic, output.key) == ("fraud-scores", output.record["transaction_id"])
    return output.record


@pytest.fixture
def fraud(tmp_path: Path, write_model: WriteModel) -> Fraud:
    write_model("m1")
    shelf = Shelf(tmp_path, accept, TRAIN)
    shelf.refresh()
    return Fraud(shelf, now=lambda: 1_700_000_001.0075)


def test_a_large_amount_is_blocked_with_its_reasons(fraud: Fraud) -> None:
    (result,) = fraud.handle([row()])
    assert scored(result)["decision"] == "block"
    assert scored(result)["reasons"][0] == "amount"
    assert scored(result)["explanations"][0] == "Amount is 95.00"
    assert len(scored(result)["explanations"]) == len(scored(result)["reasons"])
    assert 0.8 <= scored(result)["score"] <= 1
    assert scored(result)["model_version"] == "m1"
    assert result.origin == 1_700_000_001_000
    assert (scored(result)["features_at"], scored(result)["scored_at"]) == (
        1_700_000_001_005,
        1_700_000_001_007,
    )


def test_a_small_one_is_approved_without(fraud: Fraud) -> None:
    (result,) = fraud.handle([row(amount=3.0)])
    assert (scored(result)["decision"], scored(result)["reasons"]) == ("approve", [])


def test_what_is_produced_fits_the_contract(fraud: Fraud) -> None:
    (result,) = fraud.handle([row()])
    assert set(scored(result)) == {field["name"] for field in schema.load("FraudScore")["fields"]}
    assert RecordEncoder(schema.load("FraudScore")).record(scored(result))


def test_batch_or_single_scores_are_the_same_bits(fraud: Fraud) -> None:
    rows = [row(f"t{number}", amount=float(number * 7 % 100)) for number in range(40)]
    together = [scored(result) for result in fraud.handle(rows)]
    alone = [scored(fraud.handle([one])[0]) for one in rows]
    assert together == alone


def test_stored_under_transaction_customer_and_recent(fraud: Fraud) -> None:
    store = MemoryStore()
    for result in fraud.handle([row("t1"), row("t2", event_time=1_700_000_000_500)]):
        store.apply(result.writes)
    stored, latest = store.get(keys.transaction("t1")), store.get(keys.latest("c1"))
    assert stored is not None
    assert latest is not None
    assert orjson.loads(stored.data)["event_time"] == "2023-11-14T22:13:20.123Z"
    assert orjson.loads(latest.data)["transaction_id"] == "t2"
    recent = store.newest(keys.recent("c1"), 50)
    assert [orjson.loads(data)["transaction_id"] for data in recent] == ["t2", "t1"]


def test_a_payment_to_review_enters_the_queue_with_its_features(fraud: Fraud) -> None:
    store = MemoryStore()
    amounts = (3.0, *(float(number) for number in range(45, 58)), 95.0)
    results = fraud.handle([row(f"t{amount:.0f}", amount) for amount in amounts])
    decisions = [scored(result)["decision"] for result in results]
    assert {"approve", "review", "block"} == set(decisions)
    for result in results:
        store.apply(result.writes)
    queued = [name.decode() for name in store.newest(keys.REVIEWS, 50)]
    assert sorted(queued) == [
        f"t{amount:.0f}"
        for amount, decision in zip(amounts, decisions, strict=True)
        if decision == "review"
    ]
    case, approved = store.get(keys.case("t95")), store.get(keys.case("t3"))
    assert case is not None
    assert orjson.loads(case.data)["terminal_risk_7d"] == 0.5
    assert approved is None


def test_stored_bytes_give_the_record_back(fraud: Fraud) -> None:
    (result,) = fraud.handle([row()])
    assert fraud.restore(result.writes[0].data) == scored(result)


def test_bytes_of_another_release_give_what_the_contract_has_now(fraud: Fraud) -> None:
    (result,) = fraud.handle([row()])
    stored = orjson.loads(result.writes[0].data)
    del stored["reasons"]  # as if it had come later: it has a default
    stored |= {"gone": 1, "gone_at": "2023-11-14T22:13:20.123Z"}

    restored = fraud.restore(orjson.dumps(stored))

    contract = RecordEncoder(schema.load("FraudScore"))
    assert contract.record(restored) == contract.record({**scored(result), "reasons": []})
    del stored["scored_at"]
    assert fraud.restore(orjson.dumps(stored)).keys() == restored.keys() - {"scored_at"}


def test_unknown_history_scores_all_the_same(fraud: Fraud) -> None:
    (result,) = fraud.handle([row(late=True, terminal_risk_7d=None)])
    assert scored(result)["late"] is True


def test_rows_of_two_versions_in_one_batch(
    fraud: Fraud, write_model: WriteModel, tmp_path: Path
) -> None:
    write_model("old", feature_set="fraud-0")
    Store(tmp_path).promote("m1")
    rows = [row("a"), row("b", feature_set_version="fraud-0"), row("c")]
    results = [scored(result) for result in fraud.handle(rows)]
    assert [record["transaction_id"] for record in results] == ["a", "b", "c"]
    assert [record["model_version"] for record in results] == ["m1", "old", "m1"]


def test_a_version_without_model_waits(fraud: Fraud) -> None:
    with pytest.raises(
        RetryableError, match=r"feature set fraud-9, which has no model: .* restart it"
    ):
        fraud.handle([row(feature_set_version="fraud-9")])


def test_rows_wait_for_a_model_of_theirs_that_is_promoted(
    fraud: Fraud, write_model: WriteModel
) -> None:
    write_model("m2", feature_set="fraud-9", current=False)
    with pytest.raises(RetryableError, match=r"type `millrace train fraud --promote`"):
        fraud.handle([row(feature_set_version="fraud-9")])


@pytest.fixture
def unfollowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks Kafka for lists."""
    monkeypatch.setattr(consumer, "follow", lambda *_: None)


@pytest.mark.usefixtures("unfollowed")
def test_without_model_it_says_what_to_type(tmp_path: Path) -> None:
    fraud = make(Settings(state_dir=tmp_path))
    assert fraud.waiting() == f"no model: type `{TRAIN}`"


def test_with_model_it_does_not(fraud: Fraud) -> None:
    assert (fraud.waiting(), fraud.notice()) == (None, None)


def test_a_refused_model_is_told_while_the_one_before_scores(
    tmp_path: Path, write_model: WriteModel
) -> None:
    write_model("m1")
    shelf = Shelf(tmp_path, accept, TRAIN)
    fraud = Fraud(shelf)
    shelf.refresh()
    folder = write_model("m2")
    (folder / "model.txt").write_text("tree")
    shelf.refresh()
    assert fraud.waiting() is None
    assert re.fullmatch(
        r"model refused: m2: model\.txt is not .*; m1 scores instead: type `.*`",
        fraud.notice() or "",
    )


def test_it_proves_itself_by_a_payment_of_its_own(fraud: Fraud) -> None:
    assert fraud.probe()


def test_a_probe_is_counted_nowhere(fraud: Fraud) -> None:
    registry = CollectorRegistry()
    fraud.register(registry)
    counters = ("millrace_fraud_decisions_total", "millrace_drift_window_records")

    def counted() -> float:
        samples = (sample for family in registry.collect() for sample in family.samples)
        return sum(one.value for one in samples if one.name in counters)

    assert fraud.probe()
    assert counted() == 0
    fraud.handle([row()])
    assert counted() > 0


def test_a_model_that_breaks_every_payment_fails_the_probe(
    fraud: Fraud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a model of another shape")

    monkeypatch.setattr("serving.fraud.consumer.Scored.by", broken)
    with pytest.raises(ValueError, match="another shape"):
        fraud.probe()


@pytest.mark.usefixtures("unfollowed")
def test_without_a_model_nothing_is_proven(tmp_path: Path) -> None:
    assert not make(Settings(state_dir=tmp_path)).probe()
