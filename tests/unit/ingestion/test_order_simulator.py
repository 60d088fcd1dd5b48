"""A simulated shop with order fraud: the same seed, the same events; the fraud is what it says."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from config.errors import UserError
from domain.events import ShopEvent
from ingestion.shop.order_files import EVENTS, TRUTH, write
from ingestion.shop.order_simulator import CHEAP, Happened, OrderSimulator, Shop
from millrace.cli.main import build

SHOP = Shop(visitors=300, days=30, seed=3)


@pytest.fixture(scope="module")
def happened() -> list[Happened]:
    return OrderSimulator(SHOP).events()


def by_visitor(happened: list[Happened], fraud: str) -> dict[str, list[ShopEvent]]:
    found: dict[str, list[ShopEvent]] = defaultdict(list)
    for one in happened:
        if one.fraud == fraud:
            found[one.event.user_id].append(one.event)
    return found


def test_the_same_seed_gives_the_same_events(happened: list[Happened]) -> None:
    assert OrderSimulator(SHOP).events() == happened
    assert OrderSimulator(Shop(visitors=300, days=30, seed=4)).events() != happened


def test_events_come_in_order_with_ids_of_their_own(happened: list[Happened]) -> None:
    times = [one.event.event_time for one in happened]
    assert times == sorted(times)
    assert times[-1] < SHOP.start_ms + SHOP.days * 86_400_000
    assert len({one.event.event_id for one in happened}) == len(happened)


def test_order_lines_alone_are_fraud_and_few_of_them(happened: list[Happened]) -> None:
    kinds = Counter(one.event.event_type for one in happened if one.fraud)
    lines = sum(one.event.event_type == "transaction" for one in happened)
    assert set(kinds) == {"transaction"}
    assert 0.005 < kinds["transaction"] / lines < 0.1


def test_card_testers_pay_little_each_time_with_another_card(happened: list[Happened]) -> None:
    found = by_visitor(happened, "card_testing")
    assert found
    for lines in found.values():
        assert len({line.payment_card for line in lines}) == len(lines)
        assert all(line.price is not None and line.price < CHEAP for line in lines)


def test_stolen_accounts_send_to_an_address_of_nobody(happened: list[Happened]) -> None:
    usual = {one.event.address for one in happened if one.fraud is None}
    found = by_visitor(happened, "stolen_account")
    assert found
    assert not usual & {line.address for lines in found.values() for line in lines}


def test_abusers_of_refunds_cancel_most_of_what_they_order(happened: list[Happened]) -> None:
    abusers = set(by_visitor(happened, "refund_abuse"))
    kinds = Counter(one.event.event_type for one in happened if one.event.user_id in abusers)
    others = Counter(one.event.event_type for one in happened if one.event.user_id not in abusers)
    assert kinds["cancellation"] / kinds["transaction"] > 0.5
    assert others["cancellation"] / others["transaction"] < 0.1


def test_files_hold_every_event_and_every_lines_truth(
    happened: list[Happened], tmp_path: Path
) -> None:
    rows = write(tmp_path / "data", happened)
    events = [
        ShopEvent(**orjson.loads(line))
        for line in (tmp_path / "data" / EVENTS).read_bytes().splitlines()
    ]
    with (tmp_path / "data" / TRUTH).open(encoding="utf-8") as file:
        truth = {row["event_id"]: row["fraud"] or None for row in csv.DictReader(file)}
    assert events == [one.event for one in happened]
    assert rows == {EVENTS: len(events), TRUTH: len(truth)}
    assert truth == {
        one.event.event_id: one.fraud for one in happened if one.event.event_type == "transaction"
    }


def test_files_that_are_there_are_not_replaced_unless_asked(tmp_path: Path) -> None:
    line = ["simulate", "orders", str(tmp_path), "--visitors", "20", "--days", "3", "--json"]
    run = CliRunner()
    (tmp_path / TRUTH).write_text("mine")
    refused = run.invoke(build("simulate"), line)
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception) == f"{tmp_path} holds {TRUTH} already: --overwrite replaces them"
    assert (tmp_path / TRUTH).read_text() == "mine"
    done = run.invoke(build("simulate"), [*line, "--overwrite"])
    assert done.exit_code == 0, done.exception
    assert (tmp_path / TRUTH).read_text().startswith("order_id,")
