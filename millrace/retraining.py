"""Bring the parts of a retraining together: products, MLflow's record, and the running scorer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import structlog

from config.errors import UserError
from config.products import products as declared
from config.settings import Settings
from millrace.checks import examined
from millrace.stack import batch
from millrace.stack.layout import Layout

if TYPE_CHECKING:
    from lakehouse.pinned import Pinned
    from lakehouse.quality.results import Result
    from orchestration.retraining.gated import Gated
    from orchestration.retraining.handover import Run
    from orchestration.retraining.record import Record
    from orchestration.training.kernel import Kernel

log = structlog.get_logger(__name__)
Make = Callable[[Settings, Path | None, "Run", Path], "Gated"]
OPTIONAL = frozenset({"recommender"})
"""Products that also work without a model."""
METRIC = "millrace_model_info"
_EVERY_S = 0.1


def products() -> dict[str, Make]:
    """Return how the steps of each product are made.

    Of settings, a file instead of the lake, the run and the folder of the models in use.
    """
    return {"fraud": _fraud, "recommender": _recommender}


def _fraud(loaded: Settings, data: Path | None, run: Run, shelf: Path) -> Gated:
    from orchestration.fraud.lake import Lake
    from orchestration.fraud.retrain import File, Fraud, Source
    from orchestration.retraining.steps import Steps

    def source() -> Source:
        path = data or loaded.retrain_data
        if path is None:
            backfilled = loaded.retrain_vectors == "backfilled"
            delay_ms = loaded.retrain_verdict_days * 86_400_000
            ask, end = partial(ask_lake, loaded), partial(_backfilled, loaded)
            return Lake(loaded.lake_files, ask, backfilled, delay_ms, end)
        return File(path, lambda: kernel(Layout.of(loaded)))

    return Steps(Fraud(loaded, source), run, shelf)


def _recommender(loaded: Settings, data: Path | None, run: Run, shelf: Path) -> Gated:
    from orchestration.recommendations.refresh import Refresh

    if data is not None:
        raise UserError("--data: `millrace train recommendations` learns from a file of sessions")
    return Refresh(
        run,
        shelf,
        loaded.lake_files,
        partial(ask_lake, loaded),
        loaded.retrain_questions,
        loaded.retrain_worse_by,
    )


def ask_lake(
    loaded: Settings, query: str, names: Sequence[str], pinned: Mapping[str, int]
) -> Pinned:
    """Ask the lake; its libraries are loaded for that alone."""
    from lakehouse.catalog import catalog
    from lakehouse.pinned import ask
    from lakehouse.query import connect

    with connect(loaded.lake_memory, loaded.lake_spill) as con:
        return ask(con, catalog(loaded), query, names, pinned)


def _backfilled(loaded: Settings) -> int | None:
    """Return the place up to which history was backfilled; None if it never was."""
    from lakehouse.catalog import catalog
    from lakehouse.fraud.backfill import reached

    return reached(catalog(loaded))


def checked(loaded: Settings, steps: Gated, until: datetime, days: int) -> dict[str, Any]:
    """Check the lake's tables that a product learns from, the rows of the window, and keep that.

    Raise StoppedError, naming each check that failed. Rows from elsewhere have no such checks.
    """
    from orchestration.retraining.gated import StoppedError

    results: list[Result] = []
    if names := steps.tables():
        from lakehouse.catalog import catalog
        from lakehouse.quality.results import keep
        from lakehouse.quality.run import Window

        lake = catalog(loaded)
        window = Window(until, timedelta(days=days), "event_time")
        results = examined(loaded, lake, names, window)
        keep(lake, results, until)
    wrong = [one for one in results if not one.passed]
    if failed := [one for one in wrong if one.stops]:
        words = "; ".join(
            f"{one.subject} {one.field or '-'}: {one.check_name}, {one.failed} of {one.rows} rows"
            for one in failed
        )
        raise StoppedError(f"the lake's data do not pass: {words}")
    told = {"tables": list(names), "checks": len(results), "warnings": len(wrong)}
    return {"product": steps.name, **told}


def kernel(layout: Layout) -> Kernel | None:
    """Return the kernel; without one, log why the slow reference engine runs and return None."""
    from orchestration.training.kernel import Kernel

    try:
        return Kernel(batch.command(layout))
    except UserError as error:
        log.warning("features are computed by the reference engine, slowly", reason=str(error))
        return None


def record(loaded: Settings, product: str) -> Record:
    """Open MLflow's record of a product."""
    from orchestration.retraining.record import opened

    return opened(loaded, product)


def follow(loaded: Settings, product: str) -> None:
    """Let MLflow's `champion` name the shelf's current model; nothing without a record.

    The shelf decides what scores, so a record that cannot be reached is no reason to fail: it is
    logged, and the next retraining puts it right.
    """
    from orchestration.retraining.record import failures
    from orchestration.shelf.store import Store

    layout = Layout.of(loaded)
    if not (loaded.mlflow_tracking_uri or (layout.mlflow / "mlflow.db").exists()):
        return
    try:
        record(loaded, product).follow(Store(layout.models / product).current())
    except failures() as error:
        log.warning("MLflow's champion is not updated", reason=str(error))


def taken(
    loaded: Settings,
    product: str,
    within: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Wait until a consumer of the product scores with the current model.

    Raise UserError if none does `within` seconds, with what its metrics say instead; without a
    current model, too, unless the product works without.
    """
    from orchestration.shelf.store import Store

    version = Store(Layout.of(loaded).models / product).current()
    if version is None and product in OPTIONAL:
        return {"product": product, "version": None, "waited_s": 0.0}
    if version is None:
        raise UserError(f"no model of {product} is current")
    urls = [
        f"http://{loaded.host}:{consumer.port + loaded.port_offset}/metrics"
        for one in declared(loaded)
        for consumer in one.consumers
        if product in (one.name, consumer.name)
    ]
    began = clock()
    while True:
        told = {url: _loaded(url) for url in urls}
        if any(version in (found or ()) for found in told.values()):
            waited = round(clock() - began, 3)
            return {"product": product, "version": version, "waited_s": waited}
        if clock() - began >= within:
            raise UserError(f"the scorer did not take up {version}: {_said(told)}")
        sleep(_EVERY_S)


def _loaded(url: str) -> list[str] | None:
    """Return the model versions that a consumer scores with; None if it does not answer."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310  (ours)
            text = answer.read().decode()
        return [
            sample.labels["model"]
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == METRIC and sample.value
        ]
    # Whatever listens there while the consumer is away may answer in any way.
    except (OSError, HTTPException, ValueError, KeyError):
        return None


def _said(told: dict[str, list[str] | None]) -> str:
    answered = [f"{', '.join(found)} at {url}" for url, found in told.items() if found]
    return "; ".join(answered) or "no consumer with a model answers"
