"""What a test of the DAGs needs: a stack's folder of its own with a small lake, and a scorer.

Kafka and the registry are those of the session's stack, and alerts go there.
"""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from config.health import serve
from config.products import consumers
from config.settings import Settings
from lakehouse.catalog import catalog
from lakehouse.query import ask, connect
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from millrace.stack.layout import Layout
from orchestration.shelf.shelf import WATCH_S, Shelf
from orchestration.shelf.store import Store
from serving.consumers.health import Health
from serving.consumers.models import ModelInfo
from tests.integration.small_lake import VECTORS, SmallLake, append, fill

AT = datetime(2018, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RETRAINING = [
    *("check", "extract", "validate", "train", "evaluate", "register", "promote", "confirm")
]
CHAINS = {
    "build_marts": ["build"],
    "check_data_quality": ["checks"],
    "forecast_inventory": ["forecast"],
    "lake_upkeep": ["compact", "expire", "orphans"],
    "refresh_recommendations": RETRAINING,
    "retrain_fraud": RETRAINING,
}


@dataclass(frozen=True, slots=True)
class Clockwork:
    """A stack of which only what is asked for runs, and its lake."""

    stack: Stack
    lake: SmallLake

    def shelf(self, product: str) -> Store:
        """Return the shelf of a product's models."""
        return Store(self.stack.layout.models / product)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of an answer of the lake's."""
        loaded = self.stack.settings
        lake = catalog(loaded)
        try:
            with connect(loaded.lake_memory, loaded.lake_spill) as con:
                return list(ask(con, lake, query).rows)
        finally:
            lake.engine.dispose()  # type: ignore[attr-defined]


@contextmanager
def clockwork(
    broker: Stack, folder: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Clockwork]:
    """Open a stack with a small lake and the champion of the session's stack; start nothing."""
    elsewhere = {
        "MILLRACE_KAFKA_BOOTSTRAP_OVERRIDE": broker.settings.kafka_bootstrap,
        "MILLRACE_REGISTRY_URL_OVERRIDE": broker.settings.registry_url,
        "MILLRACE_RETRAIN_ROWS": "100",
        "MILLRACE_RETRAIN_FRAUDS": "5",
        "MILLRACE_RETRAIN_QUESTIONS": "500",
        **(environ or {}),
    }
    with shifted(folder, offset=SECOND_OFFSET, environ=elsewhere) as stack:
        loaded = stack.settings
        shutil.copytree(broker.layout.models / "fraud", stack.layout.models / "fraud")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Parquet writer option")
            lake = fill(loaded)
            _spoil(loaded)
        yield Clockwork(stack, lake)


def _spoil(loaded: Settings) -> None:
    """Log one vector of the day after that no check lets through."""
    lake = catalog(loaded)
    wrong = {
        "transaction_id": "wrong",
        "event_time": int((AT + DAY / 2).timestamp() * 1000),
        "customer_id": "c",
        "terminal_id": "k",
        "amount": float("nan"),
    }
    append(lake, VECTORS, [wrong], [1_000_000])
    lake.engine.dispose()  # type: ignore[attr-defined]


@contextmanager
def scorer(loaded: Settings, product: str) -> Iterator[None]:
    """Watch a shelf as its consumer does, and show its model where that one would."""
    stop, registry = threading.Event(), CollectorRegistry()
    folder = Layout.of(loaded).models / product
    shelf: Shelf[Any] = Shelf(folder, lambda card, predictor: predictor, "train")
    shelf.watch(WATCH_S, stop)
    registry.register(ModelInfo(product, shelf))
    port = consumers()[product].port + loaded.port_offset
    page = serve(loaded.host, port, Health(lambda: 0.0), lambda: generate_latest(registry))
    try:
        yield
    finally:
        stop.set()
        page.shutdown()
        page.server_close()
