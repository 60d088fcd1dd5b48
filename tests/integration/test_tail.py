"""A data set replayed and read back by `millrace topics tail`, on the real broker and registry."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from config.settings import Settings
from millrace.stack.harness import Stack


def test_what_is_replayed_is_tailed(stack: Settings, harness: Stack, tmp_path: Path) -> None:
    user = f"tail-{uuid4()}"
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        f"536366,22632,HAND WARMER,6,12/1/2010 8:28,1.85,{user},United Kingdom\n"
        f"536365,85123A,HEART,6,12/1/2010 8:26,2.55,{user},United Kingdom\n"
        f"C536379,85123A,HEART,-1,12/1/2010 9:41,2.55,{user},United Kingdom\n"
    )

    harness.cli("replay", "online-retail", str(sheet))
    tail = harness.cli(
        *("topics", "tail", "shop-events", "--from", "beginning", "--no-follow"),
        *("--key", user, "--json"),
    )

    lines = [json.loads(line) for line in tail.splitlines()]
    assert [line["record"]["event_id"] for line in lines] == [
        "or-536365-85123A-1",
        "or-536366-22632-1",
        "or-C536379-85123A-1",
    ]
    assert {line["key"] for line in lines} == {user}
