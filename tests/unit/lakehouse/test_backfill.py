"""A training set of vectors: computed up to a seam, logged behind it, none missing or twice."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.settings import Settings
from config.topics import topics
from domain.fraud.graph import GRAPH
from ingestion.wire.codec import Codec
from lakehouse import handovers
from lakehouse.fraud.backfill import (
    NAME,
    Filled,
    complete,
    differing,
    follow,
    reach_of,
    reached,
    rebuild,
    state,
)
from lakehouse.fraud.log import PAYMENTS, Log
from lakehouse.fraud.verification import OLDER, OTHER, Verifier, begin
from lakehouse.history import records
from lakehouse.persons import removed
from lakehouse.pinned import ask
from millrace.backfilling import backfill, by_reference
from millrace.cli import backfill as command
from orchestration.fraud.lake import Lake
from orchestration.retraining.product import Extract, Window
from orchestration.training.frame import Frame
from tests.unit.ingestion.registries import FakeRegistry
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


def _rebuilt(
    con: duckdb.DuckDBPyConnection, of: FraudLake, start: int, seam: int
) -> tuple[Filled, int, list[dict[str, Any]]]:
    history = Log(con, of.lake)
    whole = reach_of(history, DAY, logged=False)
    done = rebuild(of.lake, history, whole, by_reference, start=start, seam=seam)
    logged = reach_of(history, DAY, logged=True)
    return done, *differing(con, of.lake, history, logged)


def _followed(con: duckdb.DuckDBPyConnection, of: FraudLake, last: int) -> Filled:
    history = Log(con, of.lake)
    return follow(of.lake, history, reach_of(history, DAY, logged=True), last)


def _held(of: FraudLake) -> list[dict[str, Any]]:
    """What the table has, times in ms, in the order of the log."""
    rows = of.lake.load_table(NAME).scan().to_arrow().to_pylist()
    for row in rows:
        for name in ("event_time", "produced_at"):
            row[name] = round(row[name].timestamp() * 1000)
    return sorted(rows, key=lambda row: row["sequence"])


def _same(of: FraudLake, wanted: Sequence[dict[str, Any]]) -> None:
    held = _held(of)
    assert [one["sequence"] for one in held] == [one["sequence"] for one in wanted]
    for one, right in zip(held, wanted, strict=True):
        assert {name: repr(one[name]) for name in right} == {
            name: repr(value) for name, value in right.items()
        }


@pytest.mark.parametrize("seed", [1, 2])
def test_no_payment_is_missing_or_twice_at_the_seam(
    con: duckdb.DuckDBPyConnection, filled: FraudLake, seed: int
) -> None:
    """History by the engine, then what the job tells, twice over and with a lag."""
    events = stream(seed, 80)
    made, start, seam = vectors(events), START + 34 * DAY, len(events) * 5 // 6
    wanted = [one for one in made if one["event_time"] >= start]
    filled.log(events, without=range(seam + 1, len(events)))
    filled.vectors(one for one in made if seam - 9 < one["sequence"] <= seam - 2)
    done, compared, wrong = _rebuilt(con, filled, start, seam)
    assert (done.left_out, wrong) == (0, [])
    assert compared > 0
    _same(filled, [one for one in wanted if one["sequence"] <= seam])

    filled.log(events, first=seam + 1)
    behind = [one for one in made if one["sequence"] > seam]
    filled.vectors([one for one in made if seam - 2 < one["sequence"] <= seam])
    filled.vectors(behind[:-2])
    filled.vectors(behind[:2])  # told again after a restart
    first = _followed(con, filled, len(events) - 1)
    assert first.state.end == behind[-2]["sequence"] - 1, "the last two have not come yet"
    filled.vectors(behind[-2:])
    second = _followed(con, filled, len(events) - 1)
    assert second.state.end == len(events) - 1
    assert first.logged + second.logged == len([one for one in wanted if one["sequence"] > seam])
    _same(filled, wanted)
    assert {one["_source"] for one in _held(filled)} == {"computed", "logged"}
    assert _followed(con, filled, len(events) - 1).logged == 0


def test_a_verdict_that_outran_its_payment_stands_where_the_log_has_it(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """Counted by hand: the verdict is known to the later payment at the terminal."""
    first, second = pay("a", START + HOUR, "c", "k"), pay("b", START + 2 * HOUR, "d", "k")
    events: list[Event] = [judge(first, START + HOUR + 1, fraud=True), first, second]
    filled.log(events)
    _rebuilt(con, filled, START, 2)
    (one, other) = _held(filled)
    assert (one["terminal_labels_1d"], one["terminal_risk_1d"]) == (1, 1.0)
    assert (other["terminal_labels_1d"], other["terminal_count_1d"]) == (1, 2)


def test_a_logged_vector_that_differs_by_a_bit_is_found(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events = stream(4, 20)
    made = vectors(events)
    wrong = {**made[5], "amount": math.nextafter(made[5]["amount"], 0.0)}
    filled.log(events)
    filled.vectors([*made[:5], wrong])
    _, compared, found = _rebuilt(con, filled, START - 5 * DAY, len(events) - 1)
    assert compared == 6
    assert [(one["sequence"], one["fields"]) for one in found] == [(wrong["sequence"], ["amount"])]


def test_what_reaches_back_before_the_lake_is_left_out(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [pay(f"t{at}", START + at * 20 * DAY, "c", "k") for at in range(8)]
    filled.log(events, first=2)
    done, _, _ = _rebuilt(con, filled, START, 7)
    # The lake begins on day 40; two days and 72 of windows later all is known.
    assert (done.computed, done.left_out) == (2, 4)
    _same(filled, vectors(events)[6:])


def test_a_job_whose_windows_are_not_whole_yet_is_not_followed(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """The declaration changed with the third payment: the job knows its new features from then."""
    events: list[Event] = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(4)]
    made = vectors(events)
    filled.log(events, without=[3])
    filled.vectors({**one, "feature_set_version": "fraud-before"} for one in made[:2])
    filled.vectors(made[2:3])
    _rebuilt(con, filled, START, 2)
    filled.log(events, first=3)
    filled.vectors(made[3:])
    with pytest.raises(UserError, match="1 vectors were logged before the job's windows held"):
        _followed(con, filled, 3)
    _rebuilt(con, filled, START, 3)
    _same(filled, made)
    assert state(filled.lake.load_table(NAME)).seam == 3  # type: ignore[union-attr]


def test_nothing_is_followed_without_a_beginning_or_over_a_change(
    con: duckdb.DuckDBPyConnection, filled: FraudLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.log([pay("a", START, "c", "k")])
    with pytest.raises(UserError, match="nothing to go on from"):
        _followed(con, filled, 0)
    _rebuilt(con, filled, START, 0)
    object.__setattr__(GRAPH, "version", (before := GRAPH.version) + "x")
    try:
        with pytest.raises(UserError, match="the features have changed since"):
            _followed(con, filled, 0)
    finally:
        object.__setattr__(GRAPH, "version", before)


def test_payments_of_further_partitions_are_not_passed_over_in_silence(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The table follows one log; when the topic got more, neither command goes on as if not."""
    of, events = FraudLake(lake(tmp_path)), stream(3, 20)
    of.log(events)
    of.vectors(vectors(events))
    _rebuilt(con, of, START, 9)
    held = _held(of)
    row = {"_topic": "transactions", "_partition": 3, "_offset": 0, "_ingested_at": START}
    of.append("transactions", [{**row, "event_time": START, "transaction_id": "elsewhere"}])
    for run in (partial(_followed, con, of, 19), partial(_rebuilt, con, of, START, 19)):
        with pytest.raises(UserError, match="several partitions"):
            run()
    assert _held(of) == held


def test_a_new_declaration_has_a_history_to_learn_from_at_once(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """The job has only logged vectors of the declaration before; verdicts are there for three."""
    payments = [pay(f"t{at}", START + at * HOUR, "c", "k", at + 1.0) for at in range(5)]
    told = [judge(one, START + DAY, fraud=not at) for at, one in enumerate(payments[:3])]
    filled.log([*payments, *told])
    old = vectors(payments)
    filled.vectors({**one, "feature_set_version": "fraud-before"} for one in old)
    window = Window(START, START + 3 * DAY)

    def asked(*, backfilled: bool) -> Frame:
        asks, end = partial(ask, con, filled.lake), partial(reached, filled.lake)
        source = Lake("", asks, backfilled, 2 * DAY, end)
        found = source.read(window, {}, lambda *_: lambda _: None)
        assert set(found.origin["snapshots"]) == {NAME, "bronze.fraud_labels", PAYMENTS}
        return found.frame

    with pytest.raises(UserError, match="the lake has no vectors of"):
        asked(backfilled=False)
    _rebuilt(con, filled, START, 7)
    frame = asked(backfilled=True)
    assert frame.y.tolist() == [True, False, False]
    at = frame.features.index("customer_count_30d")
    assert frame.x[:, at].tolist() == [1.0, 2.0, 3.0]
    assert frame.x[:, frame.features.index("customer_mean_30d")].tolist() == [1.0, 1.5, 2.0]


def test_the_command_computes_follows_and_tells(
    filled: FraudLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = Settings.model_validate(
        {
            "state_dir": tmp_path,
            "lake_catalog_uri": f"sqlite:///{tmp_path / 'catalog.db'}",
            "lake_warehouse": f"file://{tmp_path / 'warehouse'}",
        }
    )
    events: list[Event] = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(4)]
    filled.log(events[:3])
    filled.vectors(vectors(events)[:3])
    monkeypatch.setattr(command, "settings", lambda: current)
    runner = CliRunner()
    line = ["fraud-features", "--from", "2000-01-01", "--reference", "--json"]
    told = runner.invoke(command.app, line)
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout[told.stdout.index("{\n") :])
    assert (found["computed"], found["compared"], found["differing"]) == (3, 3, [])
    filled.log(events, first=3)
    filled.vectors(vectors(events)[3:])
    page = runner.invoke(command.app, ["fraud-features", "--follow"])
    assert "0 computed, 1 logged" in page.stdout
    assert runner.invoke(command.app, ["fraud-features"]).exit_code != 0
    assert backfill(current, None, None).filled.logged == 0


def test_a_declaration_that_comes_back_begins_anew(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """The present one, another, the present one again: what it counts started empty with the 4th.

    Fifty days lie behind the first, so only the second beginning blinds what follows.
    """
    events: list[Event] = [
        pay("t0", START, "c", "k"),
        *(pay(f"t{at}", START + 50 * DAY + at * HOUR, "c", "k") for at in (1, 2, 3)),
    ]
    made = vectors(events)
    filled.log(events, without=[3])
    filled.vectors(made[:1])
    filled.vectors({**one, "feature_set_version": "fraud-other"} for one in made[1:3])
    _rebuilt(con, filled, START, 2)
    filled.log(events, first=3)
    filled.vectors([{**made[3], "customer_count_30d": 1}])
    with pytest.raises(UserError, match="1 vectors were logged before"):
        _followed(con, filled, 3)
    found = {one.sequence: one for one in Verifier(Log(con, filled.lake), DAY).sample(9, 1)}
    assert (found[0].equal, found[1].why, found[3].why) == (True, OTHER, OLDER)


def test_a_payment_that_only_another_declaration_knows_is_not_waited_for(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(4)]
    made = vectors(events)
    filled.log(events, without=[2, 3])
    _rebuilt(con, filled, START, 1)
    filled.log(events, first=2)
    waits = _followed(con, filled, 3)
    assert (waits.logged, waits.waits_for) == (0, 2)
    filled.vectors([{**made[2], "feature_set_version": "fraud-other"}, made[3]])
    with pytest.raises(UserError, match="place 2 has a vector of another declaration alone"):
        _followed(con, filled, 3)


def test_an_empty_lake_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the lake has no payments"):
        complete(lake(tmp_path))


def test_backfilled_vectors_that_end_before_the_window_are_not_learnt_from(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    payments = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(4)]
    told: list[Event] = [judge(payments[0], START + 5 * HOUR, fraud=True)]
    filled.log([*payments[:2], *told])
    _rebuilt(con, filled, START, 2)
    asks, end = partial(ask, con, filled.lake), partial(reached, filled.lake)
    assert end() == 2
    source = Lake("", asks, backfilled=True, delay_ms=DAY, end=end)
    window = Window(START, START + 3 * HOUR + DAY)

    def read(pinned: dict[str, int]) -> Extract:
        return source.read(window, pinned, lambda *_: lambda _: None)

    first = read({})
    # A repeat, one of the window, one behind it.
    filled.log([*payments[:2], *told, payments[0], *payments[2:]], first=3)
    with pytest.raises(UserError, match=r"lacks 1 payments, up to .*T02:00:00.*--follow"):
        read({})
    again = read(dict(first.origin["snapshots"]))
    assert again.frame.digest() == first.frame.digest(), "pinned, it is what it was"
    _rebuilt(con, filled, START, 5)
    assert read({}).frame.y.tolist() == [True]


@pytest.mark.parametrize(
    ("versions", "places"),
    [("AAA", []), ("BAA", [1]), ("ABA", [2]), ("BABBAA", [1, 4]), ("AAB", []), ("BBB", [])],
)
def test_each_return_of_a_declaration_is_a_beginning(
    con: duckdb.DuckDBPyConnection, filled: FraudLake, versions: str, places: list[int]
) -> None:
    made = vectors(pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(len(versions)))
    filled.vectors(
        one if version == "A" else {**one, "feature_set_version": "fraud-other"}
        for one, version in zip(made, versions, strict=True)
    )
    found = Log(con, filled.lake).changed(GRAPH.version)
    assert [(gap.end, gap.known_ms) for gap in found] == [
        (at, made[at]["produced_at"]) for at in places
    ]


@pytest.mark.parametrize(("seam", "whole"), [(2, True), (1, False), (3, False)])
def test_what_follows_a_handover_is_whole(
    con: duckdb.DuckDBPyConnection, filled: FraudLake, seam: int, whole: bool
) -> None:
    """Of a seam elsewhere the change says nothing: who began anew knows nothing of before."""
    events: list[Event] = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(4)]
    made = vectors(events)
    filled.log(events)
    filled.vectors({**one, "feature_set_version": "fraud-other"} for one in made[:2])
    filled.vectors(made[2:])
    _rebuilt(con, filled, START, 1)
    handovers.keep(filled.lake, GRAPH.version, {0: seam}, begin(START + 3 * HOUR), START)
    handovers.keep(filled.lake, "fraud-other", {0: 2}, begin(START + DAY), START)
    found = {one.sequence: one for one in Verifier(Log(con, filled.lake), DAY).sample(9, 1)}
    assert (found[3].equal, found[3].why) == ((True, None) if whole else (False, OLDER))
    if whole:
        assert _followed(con, filled, 3).logged == 2
    else:
        with pytest.raises(UserError, match="2 vectors were logged before"):
            _followed(con, filled, 3)


def test_a_handover_blinds_what_reaches_back_behind_it(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events: list[Event] = [
        *(pay(f"t{at}", START + (40 + at) * DAY, "c", "k") for at in range(3)),
        pay("late", START + 39 * DAY, "d", "k"),
    ]
    made = vectors(events)
    filled.log(events)
    filled.vectors({**one, "feature_set_version": "fraud-other"} for one in made[:2])
    filled.vectors(made[2:])
    handovers.keep(filled.lake, GRAPH.version, {0: 2}, begin(START + 40 * DAY), START)
    found = {one.sequence: one for one in Verifier(Log(con, filled.lake), DAY).sample(9, 1)}
    assert (found[2].why, found[3].why) == (None, OLDER)


def test_history_is_the_log_as_kafka_had_it(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events = stream(3, 30)
    filled.log(events)
    codec = Codec(FakeRegistry().client())
    found = list(
        records(con, filled.lake, codec, topics()["transactions"], start=0, end={0: 20, 1: 9})
    )
    assert [one.offset for one in found] == list(range(20))
    for one, event in zip(found, events, strict=False):
        decoded = codec.decoded("transactions", one.value)
        assert (decoded.name, decoded.record) == (type(event).__name__, asdict(event))
        assert one.key == event.customer_id.encode()
        assert one.time == produced(event)
    late = records(
        con, filled.lake, codec, topics()["transactions"], start=START + 20 * DAY, end={0: 99}
    )
    assert {one.offset for one in late} == {
        offset for offset, one in enumerate(events) if one.event_time >= START + 20 * DAY
    }


def test_history_has_nothing_of_a_customer_who_was_removed(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    events, topic = stream(4, 30), topics()["transactions"]
    filled.log(events)
    assert list(removed(filled.lake, "c1", topics(), datetime.now(UTC)))
    codec = Codec(FakeRegistry().client())
    found = list(records(con, filled.lake, codec, topic, start=0, end={0: len(events)}))
    left = [place for place, one in enumerate(events) if one.customer_id != "c1"]
    assert [one.offset for one in found] == left
    assert 0 < len(left) < len(events)


def test_payments_that_were_left_out_are_not_waited_for(
    con: duckdb.DuckDBPyConnection, filled: FraudLake
) -> None:
    """A hole in the log blinds the last ones: no backfill can bring them."""
    events: list[Event] = [pay(f"t{at}", START + at * HOUR, "c", "k") for at in range(5)]
    told = judge(pay("t0", START, "c", "k"), START + 6 * HOUR, fraud=True)
    filled.log([*events, told], without=[2])
    done, _, _ = _rebuilt(con, filled, START, 5)
    assert (done.computed, done.left_out) == (2, 2)
    asks, end = partial(ask, con, filled.lake), partial(reached, filled.lake)
    source = Lake("", asks, backfilled=True, delay_ms=DAY, end=end)
    found = source.read(Window(START, START + 2 * DAY), {}, lambda *_: lambda _: None)
    assert found.frame.y.tolist() == [True]
