"""Record a training of detectors in MLflow, with the hashes of what was learnt from and made.

MLflow is the record, the shelf the deployment (docs/decisions/0020): nothing that judges reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.products import groups
from config.settings import Settings
from domain.anomalies.policy import PRODUCT
from domain.times import iso
from orchestration.retraining.record import Recorded, Retraining, opened
from orchestration.shelf.card import Card
from orchestration.shelf.store import Store


def write(loaded: Settings, store: Store, card: Card) -> Recorded | None:
    """Write the run of a published model, and let `champion` name the current one.

    Return None where nobody keeps such a record: the group `lake`, which brings MLflow, is off and
    no tracking store is named. The same model is the same run.
    """
    if not (loaded.mlflow_tracking_uri or "lake" in groups(loaded)):
        return None
    published = {one.version: one.published for one in store.listed()}[card.version] or 0
    training = Retraining(
        card.version, published, iso(published), _parameters(card), _metrics(card), _tags(card)
    )
    record = opened(loaded, PRODUCT)
    found = record.write(record.run(training), training, store, card)
    record.follow(store.current())
    return found


def _parameters(card: Card) -> Mapping[str, Any]:
    details = card.details
    of_each = {
        f"{name}.{key}": value
        for name, several in details["parameters"].items()
        for key, value in several.items()
    }
    return {
        "detector": details["detector"],
        "seed": details["seed"],
        "features": ",".join(card.features),
        **of_each,
    }


def _metrics(card: Card) -> Mapping[str, float]:
    thresholds = {f"threshold_{name}": one for name, one in card.details["thresholds"].items()}
    return {**thresholds, "training_windows": float(card.details["data"]["windows"])}


def _tags(card: Card) -> Mapping[str, str]:
    data = card.details["data"]
    made = {f"millrace.sha256.{name}": digest for name, digest in card.files.items()}
    return {"millrace.data": data["source"], "millrace.data_sha256": data["sha256"], **made}
