"""The jobs as Flink plans them, with the real planner and the kernel's jar.

Nothing runs and no broker is needed.
"""

from __future__ import annotations

import re

import pytest

from tests.integration.flink_home import run_script

JOBS = (
    "fraud_features",
    "business_metrics",
    "recommendations",
    "transaction_zscore",
    "sensor_context",
    "inventory",
)


@pytest.fixture(scope="module")
def plans() -> dict[str, str]:
    """The optimized execution plan of each job."""
    printed = run_script("plan_job.py", *JOBS)
    parts = re.split(r"^=== (\w+)\n", printed, flags=re.M)[1:]
    return {
        name: text.split("== Optimized Execution Plan ==")[1]
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize(
    ("job", "topics"),
    [
        ("fraud_features", ["transactions"]),
        ("business_metrics", ["fraud_scores", "shop_events"]),
        ("recommendations", ["shop_events"]),
        ("transaction_zscore", ["transactions"]),
        ("sensor_context", ["outside_series", "sensor_metadata", "sensor_scores"]),
        ("inventory", ["shop_events", "stock_log", "stock_movements"]),
    ],
)
def test_each_topic_is_read_once(plans: dict[str, str], job: str, topics: list[str]) -> None:
    scanned = re.findall(
        r"TableSourceScan\(table=\[\[default_catalog, default_database, (\w+)", plans[job]
    )
    assert sorted(scanned) == topics


def test_decisions_are_append_only(plans: dict[str, str]) -> None:
    """No change log, and no state that grows without bound."""
    for operator in ("ChangelogNormalize", "GroupAggregate(", "Deduplicate(keep", "Join("):
        assert operator not in plans["fraud_features"]
        assert operator not in plans["recommendations"]


def test_stock_follows_from_its_log_alone(plans: dict[str, str]) -> None:
    """What is written to the log is not what the book reads: only the log itself is."""
    plan = plans["inventory"]
    written = re.findall(r"Sink\(table=\[default_catalog.default_database.(\w+)\]", plan)
    assert sorted(written) == ["quarantine", "stock_levels", "stock_log_out"]
    book = plan[plan.index("stock_levels]") :]
    assert book.count("ProcessTableFunction") == 3
    for operator in ("ChangelogNormalize", "GroupAggregate(", "Deduplicate(keep", "Join("):
        assert operator not in plan


def test_windows_are_sums_of_rows_that_nothing_takes_back(plans: dict[str, str]) -> None:
    plan = plans["business_metrics"]
    assert "watermark" not in plan.lower()
    assert "Window" not in plan
    assert "DISTINCT" not in plan, "no entry of the state for each event"
    assert plan.count("LocalGroupAggregate(") == 1, "added up before it is sent"
    assert plan.count("GlobalGroupAggregate(") == 1
    assert plan.count("GroupAggregate(") == 2
    assert plan.count("ProcessTableFunction") == 1
    for operator in ("ChangelogNormalize", "SinkMaterializer", "upsertMaterialize=[true]"):
        assert operator not in plan


def test_no_batch_waits_for_a_watermark_that_there_is_not(plans: dict[str, str]) -> None:
    """Behind a process table function Flink's planner has the watermark end them, come or not."""
    submitted = re.compile(r"^submitted mini-batches: (.*)$", flags=re.M)
    for job, plan in plans.items():
        if "MiniBatchAssigner" in plan and "watermark" not in plan.lower():
            assert submitted.findall(plan) == ["ProcTime"], job
    assert submitted.search(plans["business_metrics"])


def test_payments_pass_customer_and_pair_then_terminal(plans: dict[str, str]) -> None:
    order = re.findall(r"ProcessTableFunction|hash\[([\w, ]+)\]", plans["fraud_features"])
    keys = ["terminal_id", "customer_id, terminal_id", "customer_id", "customer_id"]
    assert [key for key in order if key] == keys, "printed from the sink up"
    assert len(order) == 8


def test_several_partitions_put_a_log_between_customers_and_terminals() -> None:
    several = {"MILLRACE_PARTITIONS": "transactions=4"}
    plan = run_script("plan_job.py", "fraud_features", environ=several)
    plan = plan.split("== Optimized Execution Plan ==")[1]
    assert sorted(
        re.findall(r"TableSourceScan\(table=\[\[default_catalog, default_database, (\w+)", plan)
    ) == [
        "fraud_terminal_log",
        "transactions",
    ]
    written = re.findall(r"Sink\(table=\[default_catalog.default_database.(\w+)\]", plan)
    assert sorted(written) == ["fraud_features", "quarantine", "terminal_log_out"]
