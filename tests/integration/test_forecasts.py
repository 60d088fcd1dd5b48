"""`millrace forecast inventory` writes what it computes to Kafka, whole and readable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from config.topics import topics
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.forecasting import TOPIC
from millrace.stack.harness import Stack
from orchestration.inventory.forecasting import Asked, forecast
from orchestration.inventory.panel import Panels
from orchestration.inventory.sales import from_file
from tests.integration.parts import ends, read
from tests.unit.orchestration.shop_sales import events


def _file(folder: Path) -> Path:
    rows = events(items=12, days=90)
    rows = rows.filter(pc.equal(rows["event_type"], "transaction"))
    columns = {
        "InvoiceNo": [str(at) for at in range(len(rows))],
        "StockCode": pc.binary_join_element_wise("fc-", rows["item_id"], ""),
        "Quantity": rows["quantity"],
        "InvoiceDate": pc.cast(rows["event_time"], pa.timestamp("ms")),
        "UnitPrice": rows["price"],
        "CustomerID": rows["user_id"],
    }
    path = folder / "sales.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def _quiet(_name: str, _total: int | None) -> Callable[[int], None]:
    return lambda _: None


def test_every_item_has_a_record_as_computed(harness: Stack, tmp_path: Path) -> None:
    path = _file(tmp_path)
    known = ends(harness.settings, TOPIC)

    line = harness.cli("forecast", "inventory", "--data", str(path), "--json").splitlines()[-1]

    told = json.loads(line)
    assert told["method"] == "tsb"
    with Registry(harness.settings.registry_url) as registry:
        found = read(harness.settings, TOPIC, Codec(registry), known)
    sales = from_file(path)
    panels = Panels(sales)
    made = forecast(panels, Asked(sales.last_day + 1, 0), _quiet)
    assert told["sent"] == len(found) == len(made.records) > 9
    by_item = {one.item_id: one for one in made.records}
    for record in found:
        own = by_item[record["item_id"]]
        assert record["daily"] == pytest.approx(list(own.daily))
        assert record["upper_95"] == pytest.approx(list(own.upper_95))
        assert record["model_version"] == own.model_version == told["model_version"]
    assert len({record["made_at"] for record in found}) == 1
    assert topics()[TOPIC].key == "item_id"
