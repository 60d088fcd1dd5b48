"""A stack that has no model: it comes up, says what to type, and keeps the payments."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from config.settings import ROOT, Settings
from domain.events import Transaction
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import feature_rows
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.parts import caught_up, ends, plug, until
from tests.integration.payments import CONSUMER_GROUP, stored

CONSUMER = "consumer-fraud"
COMMAND = "millrace train fraud --simulate --promote"
WAITING = f"waiting: no model: type `{COMMAND}`"


@pytest.fixture
def bare(tmp_path: Path, _ours: Stack) -> Iterator[Stack]:
    """A stack of its own, on ports beside the session's, in a folder without anything."""
    with shifted(tmp_path / "state", offset=SECOND_OFFSET) as second:
        yield second


def _consumer(bare: Stack) -> tuple[bool, str]:
    found = json.loads(bare.cli("status", "--json"))["processes"]
    return next((one["ready"], one["detail"]) for one in found if one["name"] == CONSUMER)


def _doctor() -> dict[str, dict[str, str | bool]]:
    line = (sys.executable, "-m", "millrace.cli.main", "doctor", "--json")
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return {check["name"]: check for check in json.loads(done.stdout)}


def _payment(number: int) -> Transaction:
    return Transaction(
        transaction_id=f"t{number}",
        event_time=1_700_000_000_000 + number,
        customer_id=f"c{number}",
        terminal_id="m",
        amount=10.0 * number,
    )


def _decided(settings: Settings, identities: list[str]) -> bool:
    with redis.Redis.from_url(settings.redis_url) as client:
        return set(stored(client, identities)) == set(identities)


def test_payments_wait_for_a_model_that_is_promoted(bare: Stack) -> None:
    said = bare.cli("up", "--only", CONSUMER)
    assert said.splitlines()[-1] == f"{CONSUMER} {WAITING}"
    assert _consumer(bare) == (True, WAITING)
    check = _doctor()[CONSUMER]
    assert (check["ok"], check["detail"], check["fix"]) == (False, WAITING, COMMAND)

    payments = [_payment(number) for number in range(20)]
    with plug(bare.settings) as (sink, codec):
        for row in feature_rows(payments, []):
            sink.send("fraud-features", row["customer_id"], codec.encode("fraud-features", row))
    identities = [payment.transaction_id for payment in payments]
    options = ("--simulate", "--days", "24", "--customers", "60", "--strikes", "80", "--json")
    card = json.loads(bare.cli("train", "fraud", *options))
    until(
        "the published model is offered",
        lambda: "model promote fraud latest" in _consumer(bare)[1],
    )
    assert not _decided(bare.settings, identities)
    assert sum(ends(bare.settings, "fraud-scores").values()) == 0

    bare.cli("model", "promote", "fraud", "latest")
    until("the payments are decided", lambda: _decided(bare.settings, identities))
    until("they are done", lambda: caught_up(bare.settings, CONSUMER_GROUP, "fraud-features"))
    with redis.Redis.from_url(bare.settings.redis_url) as client:
        models = {one["model_version"] for one in stored(client, identities).values()}
    assert models == {card["version"]}
    assert card["feature_set_version"] == GRAPH.version
    assert _consumer(bare) == (True, "")
