"""Silver and gold, built by dbt over small lakes."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from typer.testing import CliRunner

from config.errors import RetryableError
from config.settings import Settings, settings
from lakehouse import files
from lakehouse.catalog import catalog
from lakehouse.marts import run, writing
from lakehouse.marts.writing import Target, store
from lakehouse.reading import tables
from millrace.cli.main import build as application
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, lake, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")

DAY = timedelta(days=1)


@pytest.fixture
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> Settings:
    del fresh_settings
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MILLRACE_LAKE_MEMORY", "256MB")
    settings.cache_clear()
    return settings()


def _rows(of: Catalog, name: str) -> list[dict[str, Any]]:
    found = of.load_table(name).scan().to_arrow().to_pylist()
    kept = [{key: value for key, value in row.items() if key != "_run"} for row in found]
    return sorted(kept, key=repr)


def _labels(*given: tuple[str, datetime, bool]) -> list[dict[str, Any]]:
    return [
        {"transaction_id": one, "event_time": at, "customer_id": "c", "is_fraud": fraud}
        for one, at, fraud in given
    ]


def _scores(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    decisions = ("approve", "review", "block")
    return [
        {
            **row,
            "score": at % 10 / 10,
            "decision": decisions[at % 3],
            "reasons": ["night", "far"][: at % 3],
            "late": False,
        }
        for at, row in enumerate(rows)
    ]


def _clicks(count: int, start: datetime) -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"{start:%d%H}-{at}",
            "event_type": ("view", "addtocart", "transaction")[at % 3],
            "event_time": start + timedelta(minutes=7 * at),
            "user_id": f"u{at % 5}",
            "item_id": f"i{at % 4}",
            "transaction_id": f"o{at // 6}" if at % 3 == 2 else None,
            "price": None if at % 11 == 5 else 0.1 + at % 7,
            "quantity": 1 + at % 3,
        }
        for at in range(count)
    ]


def _readings(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "sensor_id": f"s{n % 3}",
            "timestamp": EPOCH - 9 * DAY,
            "arrived": EPOCH + timedelta(hours=n),
            "value": float(n),
            "status": "OK",
            "sensor_type": "default",
            "score": 0.6 if n % 5 == 0 else 0.0,
            "findings": ["HOT", "ODD"][: n % 3],
            "reasons": ["stale", "time"],
            "detail": "old",
            "late": n % 7 == 0,
            "source_partition": n % 2,
            "source_offset": n,
        }
        for n in range(first, first + count)
    ]


def _opened(*given: tuple[str, str, int, str]) -> list[dict[str, Any]]:
    return [
        {
            "alert_id": name,
            "entity": name.partition("/")[0],
            "event_time": EPOCH + timedelta(hours=hour),
            "kind": kind,
            "severity": "warning",
            "message": "",
            "details": [],
            "state": state,
            "product": "sensors",
        }
        for name, state, hour, kind in given
    ]


def _only(rows: list[dict[str, Any]], table: Any) -> list[dict[str, Any]]:
    names = {one.name for one in table.schema().fields}
    return [{name: value for name, value in row.items() if name in names} for row in rows]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_health_of_sensors_grown_run_by_run_is_counted_as_by_hand(current: Settings) -> None:
    of = catalog(current)
    of.create_namespace_if_not_exists("bronze")
    scores = bronze(of, "sensor_scores", "SensorScore", "arrived")
    refused = bronze(of, "rejected_readings", "RejectedReading", "arrived")
    alerts = bronze(of, "alerts", "Alert")
    good, bad = _readings(60), _readings(20, 100)
    told = _opened(("s0/1", "open", 2, "HOT"), ("s0/silent", "open", 3, "SILENT"))
    more = _opened(
        ("s0/1", "cleared", 40, "HOT"), ("s1/2", "open", 40, "HOT"), ("z/1", "open", 0, "J")
    )
    steps = [
        [(scores, good[:40]), (refused, bad[:5]), (alerts, told)],
        [(scores, [*good[35:50], good[50]]), (alerts, [*more, told[0]])],  # told again after a kill
        [(scores, good[51:]), (refused, bad[3:])],
    ]
    for step in steps:
        for table, rows in step:
            append(table, table.name()[-1].replace("_", "-"), _only(rows, table))
        done = run.build(current, 1)
        assert [one for one in done.nodes if one.failed] == []
    grown = _rows(of, "gold.sensor_health")
    expected: dict[tuple[date, str], list[int]] = defaultdict(lambda: [0] * 6)
    for place, rows in enumerate((good, bad)):
        for row in rows:
            counts = expected[row["arrived"].date(), row["sensor_id"]]
            counts[place] += 1
            if place == 0:
                counts[2] += row["late"]
                counts[3] += row["score"] >= 0.5
    for row in (*told, *more[1:]):
        counts = expected[row["event_time"].date(), row["entity"]]
        counts[4] += 1
        counts[5] += row["kind"] == "SILENT"
    names = ("good", "rejected", "late", "unusual", "alerts", "silences")
    found = {(row["event_date"], row["sensor_id"]): [row[n] for n in names] for row in grown}
    assert found == expected
    assert not run.build(current, 1, full_refresh=True).failed
    assert _rows(of, "gold.sensor_health") == grown


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_marts_grown_run_by_run_are_those_rebuilt_from_nothing(current: Settings) -> None:
    """Late, repeated, broken and corrected records come in four runs.

    Then everything is rebuilt, and computed once more in plain Python.
    """
    of = catalog(current)
    of.create_namespace_if_not_exists("bronze")
    paid = bronze(of, "transactions", "Transaction")
    judged = bronze(of, "fraud_labels", "FraudLabel")
    scored = bronze(of, "fraud_scores", "FraudScore")
    clicked = bronze(of, "shop_events", "ShopEvent")
    first, second = payments(300), payments(200, EPOCH + DAY, 300)
    broken = [
        {"transaction_id": "", "event_time": EPOCH, "customer_id": "c", "amount": 1.0},
        {**first[0], "transaction_id": "nan", "amount": float("nan")},
        {**first[0], "transaction_id": "vast", "amount": float("inf")},
        {**first[0], "transaction_id": "timeless", "event_time": None},
    ]
    refund = {**first[5], "transaction_id": "refund", "amount": -12.345}
    repeated = [first[3], {**first[4], "amount": 9e9}]
    late = {**first[0], "transaction_id": "late", "event_time": EPOCH - 3 * DAY, "amount": 0.015}
    # A producer's clock says that it is older than what came before it: places count, not clocks.
    older = {**second[0], "amount": 7.0, "_ingested_at": EPOCH - DAY}
    # As if from another partition, where an id has no business: the first place is the lower one.
    elsewhere = {**second[1], "amount": 8.0, "_ingested_at": EPOCH - DAY}
    corrected = _labels(("t2", EPOCH + 2 * DAY, False), ("t1", EPOCH, False))
    steps = (
        [
            (paid, "transactions", first + broken, 0),
            (clicked, "shop-events", _clicks(90, EPOCH), 0),
        ],
        [
            (paid, "transactions", [*repeated, *second, refund], 0),
            (scored, "fraud-scores", _scores(first), 0),
            (judged, "transactions", _labels(("t1", EPOCH + DAY, True), ("t2", EPOCH, True)), 0),
        ],
        [
            (paid, "transactions", [late], 0),
            (scored, "fraud-scores", [*_scores(first[:9])[::-1], *_scores(second)], 0),
            (clicked, "shop-events", _clicks(60, EPOCH - DAY), 1),
        ],
        [
            (paid, "transactions", [older], 0),
            (paid, "transactions", [elsewhere], 1),
            (judged, "transactions", corrected, 0),
            (judged, "transactions", _labels(("t301", EPOCH + 9 * DAY, True)), 0),
        ],
    )
    for step in steps:
        for table, topic, rows, partition in step:
            append(table, topic, rows, partition)
        done = run.build(current, 1, test=False)
        assert [one for one in done.nodes if one.failed] == []
    names = [name for name in tables(of) if not name.startswith("bronze")]
    grown = {name: _rows(of, name) for name in names}
    assert {name for name, rows in grown.items() if not rows} == set()

    quiet = {name: of.load_table(name).current_snapshot() for name in names}
    again = run.build(current, 1)
    assert again.run == done.run + 1
    assert {name: of.load_table(name).current_snapshot() for name in names} == quiet

    assert not run.build(current, 1, full_refresh=True).failed
    rebuilt = {name: _rows(of, name) for name in names}
    assert rebuilt == grown

    valid = [*first, *second, refund, late]
    assert _spent(valid) == {
        row["event_date"]: (row["payments"], row["spent"] - row["refunded"])
        for row in grown["gold.daily_payments"]
    }
    assert sum(row["value"] for row in grown["gold.customer_value"]) == (
        sum(cents(row["amount"]) for row in valid)
        - sum(cents(row["amount"]) for row in valid if row["transaction_id"] in ("t1", "t301"))
    )
    judged_days = {
        (row["event_date"], row["rule"]): (row["judged"], row["frauds"], row["caught"])
        for row in grown["gold.fraud_performance"]
        if row["judged"]
    }
    # t1 was reviewed for "night", t2 blocked; t301, the second of its day, reviewed.
    assert judged_days == {
        (date(2026, 3, 1), "night"): (2, 1, 1),
        (date(2026, 3, 2), "night"): (1, 1, 1),
    }
    clicks = [*_clicks(90, EPOCH), *_clicks(60, EPOCH - DAY)]
    assert _sold(clicks) == {
        (row["event_date"], row["item_id"]): (row["units"], row["sales"])
        for row in grown["gold.demand_history"]
    }


def cents(amount: float) -> Decimal:
    return Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _spent(rows: list[dict[str, Any]]) -> dict[date, tuple[int, Decimal]]:
    found: dict[date, list[Decimal]] = defaultdict(list)
    for row in rows:
        found[row["event_time"].date()].append(cents(row["amount"]))
    return {day: (len(amounts), sum(amounts, Decimal())) for day, amounts in found.items()}


def _sold(rows: list[dict[str, Any]]) -> dict[tuple[date, str], tuple[int, Decimal]]:
    found: dict[tuple[date, str], tuple[int, Decimal]] = {}
    for row in rows:
        if row["event_type"] == "transaction":
            units, sales = found.get(
                key := (row["event_time"].date(), row["item_id"]), (0, Decimal())
            )
            price = Decimal() if row["price"] is None else cents(row["price"])
            found[key] = (units + row["quantity"], sales + price * row["quantity"])
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_command_builds_what_has_a_source_and_says_what_has_not(current: Settings) -> None:
    of = catalog(current)
    of.create_namespace_if_not_exists("bronze")
    append(bronze(of, "transactions", "Transaction"), "transactions", payments(10))
    command = CliRunner()
    built = command.invoke(application("marts"), ["marts", "build", "--json"])
    assert built.exit_code == 0, built.output
    told = json.loads(built.stdout)
    models = {one["name"] for one in told["nodes"] if one["kind"] == "model"}
    assert models == {"transactions", "daily_payments"}
    assert told["missing"] == [
        f"bronze.{name}"
        for name in (
            "alerts",
            "fraud_labels",
            "fraud_scores",
            "rejected_readings",
            "sensor_scores",
            "shop_events",
        )
    ]
    stale = command.invoke(application("marts"), ["marts", "freshness", "--json"])
    (one,) = json.loads(stale.stdout)["nodes"]
    assert (one["name"], one["status"], stale.exit_code) == ("bronze.transactions", "error", 1)
    page = command.invoke(application("marts"), ["marts", "docs"]).stdout.strip()
    assert "What a customer has paid so far" in Path(page).read_text(encoding="utf-8")


def test_two_builds_at_once_are_one_too_many(current: Settings) -> None:
    with run._alone(current), pytest.raises(RetryableError, match="another build"):
        run.build(current, 1)


ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(0, 99)),
    max_size=8,
    unique_by=lambda row: row[0],
)


@pytest.mark.slow
@given(
    stores=st.lists(st.tuples(st.booleans(), ROWS), min_size=1, max_size=4), by_day=st.booleans()
)
@drawn(max_examples=drawn().max_examples // 5)
def test_a_table_holds_the_newest_row_of_each_key(
    stores: list[tuple[bool, list[tuple[int, int, int]]]],
    by_day: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    of = lake(tmp_path_factory.mktemp("store"))
    target = Target("silver.x", ("id",), "day" if by_day else None, run=7)
    wanted: dict[int, tuple[int, int, int]] = {}
    with duckdb.connect() as con:
        for whole, rows in stores:
            con.execute("create or replace table given (id int, day date, value int)")
            for one, day, value in rows:
                con.execute("insert into given values (?, ?, ?)", [one, date(2026, 3, day), value])
            before = len(of.load_table("silver.x").metadata.snapshots) if wanted else None
            store(con, of, target, "given", whole=whole)
            wanted = ({} if whole else wanted) | {row[0]: row for row in rows}
            found = of.load_table("silver.x")
            kept = [
                (row["id"], row["day"].day, row["value"])
                for row in found.scan().to_arrow().to_pylist()
            ]
            assert sorted(kept) == sorted(wanted.values())
            if before is not None:
                assert len(found.metadata.snapshots) == before + bool(rows or whole)


def test_a_store_whose_commit_is_overtaken_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = lake(tmp_path)
    real, overtaken = files.swap, 0

    def swap(table: Any, old: Any, new: Any, summary: Any) -> None:
        nonlocal overtaken
        if overtaken < 2:
            overtaken += 1
            raise CommitFailedException("another was first")
        real(table, old, new, summary)

    monkeypatch.setattr(writing, "swap", swap)
    slept: list[float] = []
    target = Target("silver.x", ("id",), run=3, sleep=slept.append)
    with duckdb.connect() as con:
        con.execute("create table given as select 1 as id, 'a' as text")
        assert store(con, of, target, "given", whole=False) == 1
    table = of.load_table("silver.x")
    assert table.scan().to_arrow().to_pylist() == [{"id": 1, "text": "a"}]
    written = list((tmp_path / "warehouse").rglob("*.parquet"))
    assert (len(slept), len(written)) == (2, 1)
    summary = table.metadata.snapshots[-1].summary
    assert summary is not None
    assert summary[writing.RUN] == "3"


def test_a_model_that_gains_a_column_keeps_its_rows(tmp_path: Path) -> None:
    of = lake(tmp_path)
    target = Target("gold.x", ("id",))
    with duckdb.connect() as con:
        store(con, of, target, "(select 1 as id)", whole=True)
        store(con, of, target, "(select 2 as id, 'new' as text)", whole=False)
    assert sorted(of.load_table("gold.x").scan().to_arrow().to_pylist(), key=repr) == [
        {"id": 1, "text": None},
        {"id": 2, "text": "new"},
    ]
