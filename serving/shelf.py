"""Models as training leaves them.

`<folder>/<version>/{model.txt,model.json}`, and `<folder>/current` naming one.

The current model is taken up while the consumer runs. Rows of an older feature-set version that are
still on their way keep the newest model trained for that version, so an upgrade needs no pause
between the two.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import structlog

from domain.fraud.policy import Thresholds

log = structlog.get_logger(__name__)

Matrix = npt.NDArray[np.float64]


class UnusableModelError(Exception):
    """A model folder that is incomplete, unreadable or contradicts itself.

    The message says what.
    """


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model with what it expects and how its score becomes a decision."""

    version: str
    feature_set_version: str
    features: tuple[str, ...]
    thresholds: Thresholds
    booster: lightgbm.Booster

    def predict(self, rows: Matrix) -> npt.NDArray[np.float64]:
        """The score of each row (one column a feature, NaN: unknown)."""
        return np.asarray(self.booster.predict(rows, num_threads=1), dtype=np.float64)

    def contributions(self, rows: Matrix) -> list[dict[str, float]]:
        """Return what each feature adds to each score, in log odds.

        TreeSHAP: Lundberg et al. 2020.
        """
        added = np.asarray(
            self.booster.predict(rows, num_threads=1, pred_contrib=True), dtype=np.float64
        )
        # The last column, which `zip` leaves out, is the bias.
        return [dict(zip(self.features, row.tolist(), strict=False)) for row in added]


def load(folder: Path) -> Model:
    """Read and try a model. Raises `UnusableModelError`."""
    try:
        card: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        text = (folder / "model.txt").read_bytes()
        # Before LightGBM sees it: on a truncated text its parser ends the process or makes another
        # model.
        if hashlib.sha256(text).hexdigest() != card["sha256"]:
            raise UnusableModelError(
                f"{folder.name}: model.txt is not what was trained: its SHA-256 is another"
            )
        model = Model(
            version=str(card["version"]),
            feature_set_version=str(card["feature_set_version"]),
            features=tuple(card["features"]),
            thresholds=Thresholds(**card["thresholds"]),
            booster=lightgbm.Booster(model_str=text.decode()),
        )
    except (OSError, ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
        raise UnusableModelError(f"{folder.name}: {error!r}") from error
    if tuple(model.booster.feature_name()) != model.features:
        raise UnusableModelError(f"{folder.name}: model.json and model.txt name different features")
    trial = np.full((1, len(model.features)), np.nan)
    # Also makes the library do its first-call work now, not in a customer's payment.
    model.predict(trial)
    model.contributions(trial)
    return model


class Shelf:
    """The models of one folder.

    `watch` reads it on a thread of its own; the consumer only takes references.
    """

    def __init__(self, folder: Path, features: frozenset[str], train: str) -> None:
        """`features`: all that rows may carry; `train`.

        The command that makes a model, for whoever lacks one.
        """
        self._folder, self._known, self._train = folder, features, train
        self._models: dict[str, Model] = {}  # feature-set version -> model
        self._seen: tuple[str, int] = ("", 0)
        self.trouble = self._absent()

    def _absent(self) -> str:
        return f"no model in {self._folder}: run `{self._train}`"

    def model(self, feature_set_version: str) -> Model | None:
        """The model for rows of this version, or None."""
        return self._models.get(feature_set_version)

    @property
    def empty(self) -> bool:
        """Whether there is no model at all."""
        return not self._models

    def refresh(self) -> None:
        """Look at `current` and take up what it names, if that changed.

        A model that is refused leaves the old one.
        """
        pointer = self._folder / "current"
        try:
            version, stamp = pointer.read_text(encoding="utf-8").strip(), pointer.stat().st_mtime_ns
        except OSError:
            self.trouble = self._absent() if self.empty else ""
            return
        if (version, stamp) == self._seen:
            return
        self._seen = (version, stamp)
        try:
            self._take(load(self._folder / version))
        except UnusableModelError as error:
            self.trouble = f"model refused: {error}"
            log.error("model refused", model=version, error=str(error))  # noqa: TRY400 - the message says it all

    def _take(self, model: Model) -> None:
        unknown = sorted(set(model.features) - self._known)
        if unknown:
            raise UnusableModelError(
                f"{model.version} (feature set {model.feature_set_version}) "
                f"needs features that nobody computes: {', '.join(unknown)}"
            )
        self._models = {**self._models, model.feature_set_version: model}
        self.trouble = ""
        log.info("model taken up", model=model.version, feature_set=model.feature_set_version)

    def search(self, feature_set_version: str) -> Model | None:
        """The newest usable model on disk for rows of a version that `current` is not for.

        Reads every model: rare.
        """
        folders = sorted(
            self._folder.glob("*/model.json"),
            key=lambda path: path.stat().st_mtime_ns,
            reverse=True,
        )
        for path in folders:
            try:
                model = load(path.parent)
            except UnusableModelError:
                continue
            if (
                model.feature_set_version == feature_set_version
                and set(model.features) <= self._known
            ):
                self._models = {feature_set_version: model, **self._models}
                log.warning(
                    "older model for older features",
                    model=model.version,
                    feature_set=feature_set_version,
                )
                return model
        return None

    def watch(self, seconds: float, stop: threading.Event) -> threading.Thread:
        """Refresh now and every `seconds` until `stop`."""
        self.refresh()

        def turn() -> None:
            while not stop.wait(seconds):
                self.refresh()

        thread = threading.Thread(target=turn, name="models", daemon=True)
        thread.start()
        return thread
