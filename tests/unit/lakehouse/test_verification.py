"""Logged vectors are computed again from a small lake; a flipped bit is found."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from config.settings import Settings
from domain.events import Transaction
from domain.features.declaration import Comparison
from domain.fraud.catalogue import CUSTOMER, HABIT, PAIR, TERMINAL
from domain.fraud.graph import GRAPH
from lakehouse.fraud import verification
from lakehouse.fraud.log import Log
from lakehouse.fraud.verification import Finding, Verifier, begin, counts
from lakehouse.fraud.watch import Watch
from millrace.cli import verify as command
from orchestration.training.kernel import _read
from tests.unit.lakehouse.fraud_lake import (
    DAY,
    HOUR,
    START,
    Event,
    FraudLake,
    judge,
    pay,
    produced,
    stream,
    vectors,
)
from tests.unit.lakehouse.lakes import lake

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")


def _found(con: duckdb.DuckDBPyConnection, of: FraudLake, count: int = 10_000) -> list[Finding]:
    return list(Verifier(Log(con, of.lake), DAY).sample(count, 1))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_vector_of_a_whole_log_comes_out_again(
    con: duckdb.DuckDBPyConnection, filled: FraudLake, seed: int
) -> None:
    events = stream(seed, 60)
    made = vectors(events)
    assert len(made) < sum(isinstance(one, Transaction) for one in events), "no repeat was drawn"
    filled.log(events)
    filled.vectors([*made, *made[-5:]])  # told again after a restart
    found = _found(con, filled)
    assert [one for one in found if not one.equal] == []
    assert len(found) == len(made) + 5
    assert max(one.rows for one in found) < len(events), "windows bound what is read"


def test_one_flipped_bit_is_found_with_its_field(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events = stream(3, 30)
    made = vectors(events)
    wrong = dict(made[20])
    wrong["customer_mean_30d"] = math.nextafter(wrong["customer_mean_30d"], math.inf)
    filled.log(events)
    filled.vectors([*made[:20], wrong, *made[21:]])
    (found,) = [one for one in _found(con, filled) if not one.equal]
    assert found.transaction_id == wrong["transaction_id"]
    assert found.differing == {
        "customer_mean_30d": (wrong["customer_mean_30d"], made[20]["customer_mean_30d"])
    }


def test_values_counted_by_hand_are_what_is_expected_of_a_vector(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """Two payments of a customer at a terminal, a verdict between them."""
    first, second = pay("a", START, "c", "k", 10.0), pay("b", START + 2 * HOUR, "c", "k", 30.0)
    events: list[Event] = [first, judge(first, START + HOUR, fraud=True), second]
    made = vectors(events)
    by_hand = {
        "customer_count_1h": 1,
        "customer_count_1d": 2,
        "customer_mean_7d": 20.0,
        "customer_last_amount": 10.0,
        "customer_seconds_since": 7200.0,
        "terminal_labels_1d": 1,
        "terminal_risk_1d": 1.0,
    }
    filled.log(events)
    filled.vectors([made[0], {**made[1], **by_hand}])
    assert [one.equal for one in _found(con, filled)] == [True, True]
    filled.vectors([{**made[1], **by_hand, "terminal_labels_1d": 0}])
    (wrong,) = [one for one in _found(con, filled) if not one.equal]
    assert wrong.differing == {"terminal_labels_1d": (0, 1)}


def test_a_vector_of_a_repeat_differs_as_nothing_comes_out(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [pay("a", START, "c", "k"), pay("a", START, "c", "k")]
    (made,) = vectors(events)
    filled.log(events)
    filled.vectors([made, {**made, "sequence": 1, "order_sequence": 1}])
    assert sorted(bool(one.differing) for one in _found(con, filled)) == [False, True]


def _whys(found: Sequence[Finding]) -> dict[int, str | None]:
    return {one.sequence: one.why for one in found}


def test_what_may_rest_on_records_before_the_lake_is_not_judged(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """The lake begins at the second payment; only a payment past all windows of it is known."""
    events: list[Event] = [
        pay("a", START, "c", "k"),
        pay("b", START + DAY, "c", "k"),
        pay("c", START + 72 * DAY, "c", "k"),
        pay("d", START + 82 * DAY, "c", "k"),
    ]
    filled.log(events, first=1)
    filled.vectors(vectors(events))
    found = _found(con, filled)
    older = verification.OLDER
    assert _whys(found) == {0: verification.ABSENT, 1: older, 2: older, 3: None}
    assert counts(found) == {"sampled": 4, "equal": 1, "differing": 0, "not_verifiable": 3}


def test_a_hole_blinds_unless_what_stood_there_was_put_aside(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(4)]
    made = vectors([*events[:2], *events[3:]])
    # As the job made it: offset 2 could not be read, so the last payment is the fourth record.
    made[2] |= {"sequence": 3, "order_sequence": 3}
    filled.log(events, without=[2])
    filled.vectors(made)
    assert _whys(_found(con, filled)) == {0: None, 1: None, 3: verification.OLDER}
    aside = {
        "_topic": "quarantine",
        "_partition": 0,
        "_offset": 0,
        "_ingested_at": produced(events[2]),
        "source_topic": "transactions",
        "source_partition": 0,
        "source_offset": 2,
        "source_time": produced(events[2]),
        "reason": "truncated",
        "quarantined_at": produced(events[2]),
        "replayed": False,
    }
    filled.append("quarantine", [aside])
    assert [one.equal for one in _found(con, filled)] == [True] * 3


def test_vectors_of_another_declaration_and_of_several_partitions_are_not_judged(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [pay("a", START, "c", "k"), pay("b", START + HOUR, "c", "k")]
    made = vectors(events)
    filled.log(events)
    filled.vectors([{**made[0], "feature_set_version": "fraud-other"}, made[1]])
    assert _whys(_found(con, filled)) == {0: verification.OTHER, 1: verification.OLDER}
    row = {"_topic": "transactions", "_partition": 1, "_offset": 0, "_ingested_at": START}
    filled.append("transactions", [{**row, "event_time": START}])
    assert set(_whys(_found(con, filled)).values()) == {verification.SEVERAL}


def test_a_verdict_from_another_partition_makes_the_order_unknown_too(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [pay("a", START, "c", "k")]
    filled.log(events)
    filled.vectors(vectors(events))
    assert _whys(_found(con, filled)) == {0: None}
    row = {"_topic": "transactions", "_partition": 3, "_offset": 0, "_ingested_at": START}
    filled.append("fraud_labels", [{**row, "event_time": START}])
    assert _whys(_found(con, filled)) == {0: verification.SEVERAL}


def test_the_same_seed_draws_the_same_vectors(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events = stream(4, 20)
    filled.log(events)
    filled.vectors(vectors(events))
    log = Log(con, filled.lake)

    def drawn(seed: int) -> list[int]:
        return [one["sequence"] for one in log.sample(8, seed)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 8


def test_windows_begin_where_a_count_of_tiles_says() -> None:
    draw = random.Random(5)
    for _ in range(50):
        at = draw.randrange(10**12, 2 * 10**12)
        assert begin(at) == (at // DAY - 71) * DAY


def test_a_terminal_reads_of_other_customers_only_how_remarkable_their_frauds_were() -> None:
    """So a payment of another customer needs history elsewhere only if it was judged a fraud."""
    assert GRAPH.stages == (CUSTOMER, HABIT, PAIR, TERMINAL)
    before = {name for one in (CUSTOMER, HABIT, PAIR) for name in one.columns()}
    of_payments = {"pair_last_amount", "pair_last_ratio"}
    assert _read(TERMINAL) & before == {"pair_count_30d", *of_payments}
    judged = Comparison("is_fraud", "eq", True)
    assert all(judged in one.filter for one in TERMINAL.features if of_payments & one.reads)
    made = {one.name: one for one in PAIR.features}
    assert not made["pair_count_30d"].reads & before
    assert not _read(PAIR) & {one.name for one in HABIT.features}


def _settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "state_dir": tmp_path,
            "lake_catalog_uri": f"sqlite:///{tmp_path / 'catalog.db'}",
            "lake_warehouse": f"file://{tmp_path / 'warehouse'}",
        }
    )


def test_the_command_tells_and_exits_with_1_for_a_difference(
    filled: FraudLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = stream(6, 20)
    made = vectors(events)
    filled.log(events)
    filled.vectors(made)
    monkeypatch.setattr(command, "settings", lambda: _settings(tmp_path))
    runner = CliRunner()
    fine = runner.invoke(command.app, ["features", "--sample", "5", "--json"])
    assert fine.exit_code == 0, fine.output
    assert json.loads(fine.stdout[fine.stdout.index("{\n") :])["equal"] == 5
    filled.vectors([{**made[3], "amount": -0.0}])
    wrong = runner.invoke(command.app, ["features", "--sample", "1000"])
    assert wrong.exit_code == 1
    assert "1 differing" in wrong.stdout
    assert "-0.0" in wrong.stdout


def test_the_watch_counts_for_prometheus_and_waits_for_a_lake(tmp_path: Path) -> None:
    current = _settings(tmp_path)
    empty = lake(tmp_path)
    watch = Watch(current, lake=lambda _: empty, clock=lambda: 1000.0)
    watch.turn()
    assert "the lake has no bronze.fraud_features" in watch.waiting["lake"]
    assert watch.missing == {}
    events = stream(7, 15)
    made: list[dict[str, Any]] = vectors(events)
    filled = FraudLake(empty)
    filled.log(events)
    filled.vectors([{**made[0], "is_night": 7}, *made[1:4]])
    watch.turn()
    told = generate_latest(watch.registry).decode()
    assert "millrace_features_verified_total 4.0" in told
    assert "millrace_features_differing_total 1.0" in told
    assert "millrace_features_not_verifiable_total 0.0" in told
    assert "millrace_features_verified_timestamp_seconds 1000.0" in told
    assert watch.waiting == {}
    assert watch.alive()


def test_what_is_drawn_has_verdicts_too() -> None:
    kinds = {type(one).__name__ for one in stream(1, 50)}
    assert kinds == {"Transaction", "FraudLabel"}
