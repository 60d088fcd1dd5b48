"""What stops a retraining before it reads: checks of the tables that its rows come from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from config.errors import UserError
from config.settings import Settings
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from lakehouse.catalog import catalog
from lakehouse.query import ask, connect
from lakehouse.tables import NAMESPACES
from millrace.retraining import checked, products
from orchestration.retraining.gated import Gated
from orchestration.retraining.handover import Run
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
UNTIL = EPOCH + timedelta(days=1)


@pytest.fixture
def loaded(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path, retrain_data=None)  # type: ignore[call-arg]


@pytest.fixture
def lake(loaded: Settings) -> Iterator[Catalog]:
    found = catalog(loaded)
    for namespace in NAMESPACES:
        found.create_namespace_if_not_exists(namespace)
    append(bronze(found, "transactions", "Transaction"), "transactions", payments(20))
    yield found
    found.engine.dispose()  # type: ignore[attr-defined]


def vectors(count: int, start: datetime = EPOCH, **wrong: Any) -> list[dict[str, Any]]:
    more = {
        "partition": 0,
        "order_partition": 0,
        "produced_at": EPOCH,
        "late": False,
        "feature_set_version": GRAPH.version,
    }
    return [
        {
            **dict.fromkeys(FRAUD.features),
            **one,
            **more,
            "sequence": at,
            "order_sequence": at,
            **wrong,
        }
        for at, one in enumerate(payments(count, start))
    ]


def verdicts(count: int) -> list[dict[str, Any]]:
    kept = ("transaction_id", "event_time", "customer_id", "terminal_id")
    return [{**{name: one[name] for name in kept}, "is_fraud": False} for one in payments(count)]


def fill(lake: Catalog, rows: list[dict[str, Any]]) -> None:
    append(bronze(lake, "fraud_features", "FraudFeatures"), "fraud-features", rows)
    append(bronze(lake, "fraud_labels", "FraudLabel"), "transactions", verdicts(20))


def fraud(loaded: Settings, data: Path | None = None) -> Gated:
    run = Run.of(loaded.state_dir / "retraining", "fraud", UNTIL)
    return products()["fraud"](loaded, data, run, loaded.state_dir / "models" / "fraud")


def test_sound_rows_pass(loaded: Settings, lake: Catalog) -> None:
    fill(lake, vectors(20))
    done = checked(loaded, fraud(loaded), UNTIL, 1)
    assert done["tables"] == ["bronze.fraud_features", "bronze.fraud_labels"]
    assert done["warnings"] == 0
    with connect("256MB", loaded.lake_spill) as con:
        query = "select count(*), min(checked_at), max(checked_at) from ops.data_quality"
        assert list(ask(con, lake, query).rows) == [(done["checks"], UNTIL, UNTIL)]


def test_one_failure_stops_it_by_name(loaded: Settings, lake: Catalog) -> None:
    fill(lake, [*vectors(19), *vectors(1, EPOCH + timedelta(hours=1), terminal_risk_7d=1.5)])
    words = (
        "the lake's data do not pass: "
        r"bronze\.fraud_features terminal_risk_7d: range, 1 of 20 rows$"
    )
    product = fraud(loaded)
    with pytest.raises(UserError, match=words):
        checked(loaded, product, UNTIL, 1)
    before = EPOCH + timedelta(hours=1)
    assert checked(loaded, product, before, 1)["tables"], "of another window it is no matter"


def test_rows_of_a_file_have_no_such_checks(loaded: Settings, tmp_path: Path) -> None:
    product = fraud(loaded, tmp_path / "file.parquet")
    done = checked(loaded, product, datetime(2026, 1, 1, tzinfo=UTC), 1)
    assert done == {"product": "fraud", "tables": [], "checks": 0, "warnings": 0}
    assert not (tmp_path / "lake").exists()
