"""`millrace replay` and `millrace simulate`: options, summaries, exit codes.

Into a sink in memory.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from config.errors import UserError
from config.settings import settings
from ingestion.replay.run import Summary
from ingestion.wire.codec import Codec
from millrace import streaming
from millrace.cli import replay, simulate
from tests.unit.ingestion.registries import FakeRegistry
from tests.unit.ingestion.sinks import MemorySink

T = 1_433_221_332_000
SMALL = ("simulate", "--days", "1", "--customers", "20", "--terminals", "40")


@dataclass
class Outcome:
    code: int
    out: str
    error: BaseException | None

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Commands:
    """The commands, with a sink and a registry in memory and a state folder of their own."""

    def __init__(self) -> None:
        self.sink = MemorySink(["transactions", "shop-events", "shop-items"])
        self.paced: list[bool] = []
        self._codec = Codec(FakeRegistry().client())
        self._app = typer.Typer()
        self._app.add_typer(replay.app, name="replay")
        simulate.register(self._app)

    def run(self, *line: str) -> Outcome:
        result = CliRunner().invoke(self._app, line)
        return Outcome(result.exit_code, result.stdout, result.exception)

    def decoded(self, topic: str) -> list[dict[str, Any]]:
        return [self._codec.decode(topic, value) for _, value in self.sink.records[topic]]

    @contextmanager
    def kafka(self, client_id: str, *, paced: bool) -> Iterator[tuple[MemorySink, Codec]]:
        self.paced.append(paced)
        yield self.sink, self._codec


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_settings: None) -> Commands:
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    made = Commands()
    monkeypatch.setattr(streaming, "kafka", made.kafka)
    return made


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    path = tmp_path / "payments.parquet"
    columns = {
        "transaction_id": list(range(100)),
        "tx_datetime": pa.array([T + 3_600_000 * row for row in range(100)], pa.timestamp("ms")),
        "customer_id": [row % 5 for row in range(100)],
        "terminal_id": [row % 3 for row in range(100)],
        "tx_amount": [1.0 * row for row in range(100)],
        "tx_fraud": [0] * 100,
    }
    pq.write_table(pa.table(columns), path)
    return path


def events(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "events.csv"
    path.write_text("\n".join(["timestamp,visitorid,event,itemid,transactionid", *lines]))
    return path


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_instacart_counts_lines_and_sends_items_first(commands: Commands, tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        orders="order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,"
        "days_since_prior_order\n5,1,train,1,0,09,\n",
        order_products__train="order_id,product_id,add_to_cart_order,reordered\n5,7,1,0\n5,8,2,0\n",
        products="product_id,product_name,aisle_id,department_id\n7,Soda,77,7\n",
    )

    outcome = commands.run("replay", "instacart", str(folder), "--anchor", "2020-02-01", "--json")

    assert outcome.code == 0
    assert outcome.summary["produced"] == {"shop-items": 1, "shop-events": 4}
    assert outcome.summary["rows"] == 2
    first = commands.decoded("shop-events")[0]
    assert (first["event_type"], first["user_id"], first["item_id"]) == ("addtocart", "1", "7")
    assert first["event_time"] // 3_600_000 * 3600 == 1_580_547_600, "2020-02-01T09:00Z"


def test_olist(commands: Commands, tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        olist_orders_dataset="order_id,customer_id,order_status,order_purchase_timestamp\n"
        "o,c,delivered,2017-10-02 10:56:33\n",
        olist_order_items_dataset="order_id,order_item_id,product_id,price\no,1,p,9.5\n",
    )

    outcome = commands.run("replay", "olist", str(folder), "--json")

    assert outcome.summary["produced"] == {"shop-events": 1}
    assert commands.decoded("shop-events")[0]["price"] == 9.5
    missing = commands.run("replay", "olist", str(folder / "nowhere"))
    assert isinstance(missing.error, UserError)


@pytest.mark.slow
def test_online_retail(commands: Commands, tmp_path: Path) -> None:
    write(
        tmp_path,
        sheet="InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,HEART,6,12/1/2010 8:26,2.55,17850,United Kingdom\n",
    )

    outcome = commands.run("replay", "online-retail", str(tmp_path / "sheet.csv"), "--json")

    assert outcome.summary["produced"] == {"shop-events": 1}
    assert commands.decoded("shop-events")[0]["quantity"] == 6


def test_retail_rocket_with_items(commands: Commands, tmp_path: Path) -> None:
    write(
        tmp_path,
        item_properties=f"timestamp,itemid,property,value\n{T},2,categoryid,5\n{T},2,790,n7.000\n",
        tree="categoryid,parentid\n5,4\n",
    )
    path = events(tmp_path, f"{T},1,view,2,")

    outcome = commands.run(
        "replay",
        "retail-rocket",
        str(path),
        "--item-properties",
        str(tmp_path / "item_properties.csv"),
        "--category-tree",
        str(tmp_path / "tree.csv"),
        "--json",
    )

    assert outcome.summary["produced"] == {"shop-items": 1, "shop-events": 1}
    (item,) = commands.decoded("shop-items")
    assert (item["category"], item["ancestors"], item["available"]) == ("5", ["4"], None)
    assert commands.decoded("shop-events")[0]["price"] == 7.0


def test_payments_and_verdicts(commands: Commands, payments: Path) -> None:
    outcome = commands.run("replay", "transactions", str(payments), "--label-delay", "1d", "--json")

    assert outcome.code == 0
    assert outcome.summary["rows"] == 100
    assert outcome.summary["produced"] == {"transactions": 100 + 76}, "the last day's are not due"
    assert commands.paced == [False]


def test_only_some_rows_without_verdicts(commands: Commands, payments: Path) -> None:
    outcome = commands.run("replay", "transactions", str(payments), "--events", "60", "--no-labels")

    assert outcome.code == 0
    assert "transactions: 60" in outcome.out
    assert "60 events in" in outcome.out


def test_shop_events_with_a_bad_row(commands: Commands, tmp_path: Path) -> None:
    path = events(tmp_path, f"{T},1,view,2,", "x,1,view,2,")

    outcome = commands.run("replay", "retail-rocket", str(path))

    assert outcome.code == 0
    assert "1 rows rejected: " in outcome.out
    assert len(commands.sink.records["shop-events"]) == 1


def test_a_file_without_one_good_row_is_an_error(commands: Commands, tmp_path: Path) -> None:
    outcome = commands.run("replay", "retail-rocket", str(events(tmp_path, "x,1,view,2,")))

    assert isinstance(outcome.error, UserError)
    assert "no row of" in str(outcome.error)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("replay", "retail-rocket", "none.csv"), "none.csv is not a file"),
        (("replay", "transactions", "none.parquet"), "none.parquet does not exist"),
        ((*SMALL, "--rate", "0"), "above 0"),
        ((*SMALL, "--label-delay", "a week"), "is not a duration"),
    ],
)
def test_what_can_not_be_done_is_told(
    commands: Commands, line: tuple[str, ...], message: str
) -> None:
    outcome = commands.run(*line)

    assert isinstance(outcome.error, UserError)
    assert message in str(outcome.error)


def test_an_unknown_speed_is_refused_before_anything_is_sent(
    commands: Commands, payments: Path
) -> None:
    outcome = commands.run("replay", "transactions", str(payments), "--speed", "fast")

    assert isinstance(outcome.error, UserError)
    assert commands.paced == []


@pytest.fixture
def interrupted(
    commands: Commands, payments: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """A replay's command line, after it was interrupted at the 51st payment."""
    line = ("replay", "transactions", str(payments), "--no-labels", "--json")
    send, calls = commands.sink.send, iter(range(1000))

    def once(topic: str, key: bytes | str | None, value: bytes | None) -> None:
        if next(calls) == 50:
            raise KeyboardInterrupt
        send(topic, key, value)

    monkeypatch.setattr(commands.sink, "send", once)
    assert commands.run(*line).code == 130
    return line


def test_an_interrupted_replay_goes_on(commands: Commands, interrupted: tuple[str, ...]) -> None:
    summary = commands.run(*interrupted).summary

    # Days end at midnight: the first batches hold 19, 24 payments (T is 05:02 UTC).
    assert summary["resumed_at"] == 43
    assert summary["produced"] == {"transactions": 57}
    assert len({value for _, value in commands.sink.records["transactions"]}) == 100


def test_restart_begins_anew(commands: Commands, interrupted: tuple[str, ...]) -> None:
    summary = commands.run(*interrupted, "--restart").summary

    assert summary["resumed_at"] == 0
    assert summary["produced"] == {"transactions": 100}


def test_simulated_payments_at_a_rate(commands: Commands) -> None:
    line = (
        "simulate",
        "--customers",
        "20",
        "--terminals",
        "40",
        "--events",
        "30",
        "--rate",
        "100000",
        "--json",
    )

    first, again = commands.run(*line), commands.run(*line)

    assert first.summary["produced"] == {"transactions": 30}
    assert again.code == 0
    values = [value for _, value in commands.sink.records["transactions"]]
    assert values[:30] == values[30:]
    assert commands.paced == [True, True]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("7d", 604_800_000), ("12h", 43_200_000), ("30m", 1_800_000), ("45s", 45_000), ("5ms", 5)],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert streaming.duration_ms(text) == milliseconds


def test_the_bar_takes_reports() -> None:
    with streaming.bar("rows", 10, quiet=True) as report:
        report(5, 0)
        report(10, 2)


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (True, True), (False, False)])
def test_what_is_read_is_counted_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, quiet: bool
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        streaming, "Console", lambda **_: Console(file=screen, force_terminal=terminal)
    )
    assert list(streaming.counted("reading", iter(range(1234)), quiet=quiet)) == list(range(1234))
    shown = screen.getvalue()
    assert ("reading" in shown and "1,234" in shown) if terminal and not quiet else shown == ""


def test_a_resumed_summary_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    streaming.show(Summary({"t": 1}, rows=5, resumed_at=4), 0.0, as_json=False)

    assert "resumed after row 4, where the last run was interrupted" in capsys.readouterr().out


def test_a_summary_for_people_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    streaming.show(Summary({"t": 1_000}, rows=1_000), 0.5, as_json=False)

    assert capsys.readouterr().out == "t: 1,000\n1,000 events in 0.5 s, 2,000/s\n"
