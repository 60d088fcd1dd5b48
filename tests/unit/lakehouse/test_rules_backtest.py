"""`millrace rules test` over a small lake, beside SQL and arithmetic written by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from config.errors import UserError
from config.files import write
from config.settings import settings
from lakehouse.catalog import catalog
from lakehouse.query import connect
from lakehouse.reading import show
from millrace.cli.main import build
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
RULES = """
rules:
  - {name: many, words: Many, action: review,
      when: [{field: customer_count_1h, gt: 5}]}
  - {name: over, words: Over, action: block, mode: shadow,
      when: [{field: amount, gt: {times: 1.5, of: customer_mean_30d}},
             {field: terminal_id, in: [k1, k2]}]}
  - {name: never, words: Never, action: block, when: [{field: amount, lt: 0}]}
"""
COUNT = 400


def _vectors() -> list[dict[str, Any]]:
    return [
        {
            **one,
            "customer_count_1h": None if at % 11 == 0 else at % 9,
            "customer_mean_30d": None if at % 13 == 0 else 40.0 + at % 60,
        }
        for at, one in enumerate(payments(COUNT))
    ]


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> Path:
    """A lake with repeated vectors and scores, payments without either, corrected verdicts."""
    del fresh_settings
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MILLRACE_FRAUD_COST_REVIEW", "3")
    monkeypatch.setenv("MILLRACE_FRAUD_COST_BLOCKED", "7")
    settings.cache_clear()
    lake = catalog(settings())
    vectors = _vectors()
    of_vectors = bronze(lake, "fraud_features", "FraudFeatures")
    append(of_vectors, "fraud-features", vectors)
    append(of_vectors, "fraud-features", [{**vectors[6], "customer_count_1h": 0}])
    decisions = ("approve", "approve", "review", "block")
    scores = [
        {
            **{name: row[name] for name in ("transaction_id", "event_time", "amount")},
            # A rule may have raised it; an earlier release did not say what the model had decided.
            "decision": "block" if at % 5 == 0 else decisions[at % 4],
            "model_decision": decisions[at % 4] if at % 5 == 0 else "",
        }
        for at, row in enumerate(vectors)
        if at % 17
    ]
    of_scores = bronze(lake, "fraud_scores", "FraudScore")
    append(of_scores, "fraud-scores", scores)
    append(of_scores, "fraud-scores", [{**scores[0], "decision": "block", "model_decision": ""}])
    labels = [
        {
            "transaction_id": row["transaction_id"],
            "event_time": EPOCH + timedelta(days=1),
            "is_fraud": at % 7 == 0,
        }
        for at, row in enumerate(vectors)
        if at % 3
    ]
    of_labels = bronze(lake, "fraud_labels", "FraudLabel")
    append(of_labels, "transactions", labels)
    later = EPOCH + timedelta(days=2)
    append(of_labels, "transactions", [{**labels[0], "event_time": later, "is_fraud": True}])
    file = tmp_path / "rules.yaml"
    write(file, RULES)
    return file


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(build("rules"), ["rules", "test", *arguments])


# What the model alone decided: of an old score its decision, of one that is not there approval.
BY_HAND = """
create temp table told as
select v.amount, v.customer_count_1h as n, v.customer_mean_30d as mean, v.terminal_id as t,
  case when s.model_decision in ('approve', 'review', 'block') then s.model_decision
    when s.decision is not null then s.decision else 'approve' end as model,
  (select arg_max(l.is_fraud, l.event_time) from bronze.fraud_labels l
   where l.transaction_id = v.transaction_id) as fraud
from (select * from bronze.fraud_features where _offset < 400 and event_time >= $since) v
left join (select * from bronze.fraud_scores where _offset < $scores) s using (transaction_id);
create macro cost(decision, fraud, amount) as
  case decision when 'review' then 3 when 'block' then if(fraud, 0, 7) else if(fraud, amount, 0) end
"""


@pytest.mark.slow
def test_each_rule_is_weighed_as_by_hand(rules: Path) -> None:
    since = EPOCH + timedelta(minutes=5)
    answer = _run(str(rules), "--since", since.isoformat(), "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)

    loaded = settings()
    lake = catalog(loaded)
    with connect(loaded.lake_memory, loaded.lake_spill) as con:
        for name in ("fraud_features", "fraud_scores", "fraud_labels"):
            show(con, f"bronze.{name}", lake.load_table(f"bronze.{name}"))
        once = sum(1 for at in range(COUNT) if at % 17)
        hand = BY_HAND.replace("$since", f"'{since.isoformat()}'").replace("$scores", str(once))
        con.execute(hand)

        def one(query: str) -> tuple[Any, ...]:
            found = con.execute(query).fetchone()
            assert found is not None
            return found

        expected = one("""select count(*), count(fraud), count(*) filter (where fraud),
            sum(cost(model, fraud, amount)) filter (where fraud is not null),
            sum(cost(case when n > 5 and model = 'approve' then 'review' else model end,
              fraud, amount)) filter (where fraud is not null) from told""")
        cost = told["cost"]
        assert (told["payments"], told["judged"], told["frauds"]) == expected[:3]
        assert (cost["model"], cost["with_active_rules"]) == pytest.approx(expected[3:])
        for place, meets, raised in (
            (0, "n > 5", "case when model = 'approve' then 'review' else model end"),
            (1, "amount > 1.5 * mean and t in ('k1', 'k2')", "'block'"),
        ):
            expected = one(f"""select count(*), count(fraud), count(*) filter (where fraud),
                count(*) filter (where model <> 'approve'),
                count(*) filter (where model <> {raised}),
                sum(cost({raised}, fraud, amount) - cost(model, fraud, amount))
                  filter (where fraud is not null) from told where {meets}""")  # noqa: S608
            rule = told["rules"][place]
            assert min(expected[:5]) > 0
            assert (rule["hits"], rule["judged"], rule["frauds"]) == expected[:3]
            assert rule["precision"] == pytest.approx(expected[2] / expected[1])
            assert rule["recall"] == pytest.approx(expected[2] / told["frauds"])
            assert rule["overlap"] == pytest.approx(expected[3] / expected[0])
            assert rule["stronger"] == expected[4]
            assert rule["cost_change"] == pytest.approx(expected[5])
    never = told["rules"][2]
    assert (never["hits"], never["precision"], never["cost_change"]) == (0, None, 0.0)


def test_a_span_without_payments_and_one_upside_down(rules: Path) -> None:
    answer = _run(str(rules), "--since", "2020-01-01", "--until", "2020-02-01")
    assert answer.exit_code == 0
    assert "0 payments" in answer.stdout
    answer = _run(str(rules), "--since", "2026-01-02", "--until", "2026-01-01")
    assert isinstance(answer.exception, UserError)
