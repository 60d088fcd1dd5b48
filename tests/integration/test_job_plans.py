"""The jobs as Flink plans them, with the real planner and the kernel's jar.

Nothing runs and no broker is needed.
"""

from __future__ import annotations

import re

import pytest

from tests.integration.flink_home import run_script

JOBS = ("fraud_features", "business_metrics")


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The optimized execution plan of each job."""
    printed = run_script("plan_job.py", tmp_path_factory.mktemp("plans"), *JOBS)
    parts = re.split(r"^=== (\w+)\n", printed, flags=re.M)[1:]
    return {
        name: text.split("== Optimized Execution Plan ==")[1]
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize(
    ("job", "topics"),
    [
        ("fraud_features", ["transaction_labels", "transactions"]),
        ("business_metrics", ["shop_events"]),
    ],
)
def test_each_topic_is_read_once(plans: dict[str, str], job: str, topics: list[str]) -> None:
    scanned = re.findall(
        r"TableSourceScan\(table=\[\[default_catalog, default_database, (\w+)", plans[job]
    )
    assert sorted(scanned) == topics


@pytest.mark.parametrize("job", JOBS)
def test_nothing_is_taken_back(plans: dict[str, str], job: str) -> None:
    """Append-only from end to end: no change log, no state that grows without bound."""
    for operator in ("ChangelogNormalize", "GroupAggregate(", "Deduplicate(keep", "Join("):
        assert operator not in plans[job]


def test_duplicates_within_a_minute_go_with_their_window(plans: dict[str, str]) -> None:
    assert "WindowDeduplicate(" in plans["business_metrics"]
    assert "GlobalWindowAggregate(" in plans["business_metrics"]
    assert "watermark=[" in plans["business_metrics"].split("TableSourceScan")[1].split("\n")[0], (
        "pushed into Kafka's"
    )


def test_payments_pass_customer_then_terminal(plans: dict[str, str]) -> None:
    order = re.findall(r"ProcessTableFunction|hash\[(\w+)\]", plans["fraud_features"])
    assert [key for key in order if key] == ["terminal_id", "customer_id"], (
        "printed from the sink up"
    )
    assert len(order) == 4
