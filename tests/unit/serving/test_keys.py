"""One module per product owns its keys: nobody else writes one out."""

from __future__ import annotations

import re

import pytest

from config.settings import ROOT
from serving.business import keys as business
from serving.fraud import keys as fraud
from serving.store import MemoryStore
from tests.unit.serving.test_business import window

FOLDERS = ("benchmarks", "config", "ingestion", "millrace", "orchestration", "serving", "tests")
PREFIXES = ("fraud", "business", "recommendations")


def test_a_key_is_written_out_in_its_product_s_module_alone() -> None:
    key = re.compile(rf"""["'](?:{"|".join(PREFIXES)}):[a-z]""")
    found = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if key.search(path.read_text())
    }
    assert found == {f"serving/{name}/keys.py" for name in PREFIXES}


def test_what_is_written_is_found_by_the_same_module() -> None:
    store = MemoryStore()
    score = {
        "transaction_id": "t",
        "customer_id": "c",
        "event_time": 1,
        "sequence": 2,
        **dict.fromkeys(fraud.TIMES, 1),
    }
    minute = window(60_000, 0).record
    store.apply([fraud.decision(score, ttl_ms=1000), business.stored(minute)])
    decision = store.get(fraud.transaction("t"))
    assert decision is not None
    assert store.get(fraud.latest("c")) == decision
    assert store.newest(fraud.recent("c"), fraud.RECENT) == [decision.data]
    (name,) = store.newest(business.index("1m"), business.KEEP["1m"])
    assert store.get(business.window("1m", name.decode())) is not None


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_prefix_names_the_product(prefix: str) -> None:
    assert (ROOT / "serving" / prefix / "consumer.py").exists()
