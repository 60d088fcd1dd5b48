"""Train learned detectors and publish them on the shelf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from domain.anomalies.policy import FEATURE_SET, QUANTILES, Thresholds
from orchestration.anomalies.learned.detectors import CHOICES, LEARN, PARAMETERS, Fitted
from orchestration.anomalies.learned.graph import Calibration, joined
from orchestration.anomalies.learned.rows import Windows
from orchestration.shelf.card import Card, digest
from orchestration.shelf.store import Store

LIBRARIES = ("numpy", "onnx", "scikit-learn", "skl2onnx")
JAX = ("jax", "optax")


@dataclass(frozen=True, slots=True)
class Learnt:
    """Detectors with their calibrations, and what of it a card tells."""

    detector: str
    windows: Windows
    fitted: Mapping[str, Fitted]
    calibrations: Mapping[str, Calibration]
    combination: Calibration | None
    thresholds: Thresholds
    seed: int

    def margins(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the margin of each row, computed by the detectors themselves in 64 bits."""
        return _margins(self.fitted, self.calibrations, self.combination, rows)

    def graph(self) -> onnx.ModelProto:
        """Return the whole as one graph."""
        parts = {name: (one.export(), self.calibrations[name]) for name, one in self.fitted.items()}
        return joined(parts, self.combination, len(self.windows.features))

    def publish(self, folder: Path) -> Card:
        """Put the model on the shelf of `folder`; it scores once it is promoted."""
        content = self.graph().SerializeToString(deterministic=True)
        return Store(folder).publish(
            f"{self.detector}-{digest(content)[:12]}",
            "onnx",
            {"model.onnx": content},
            feature_set_version=FEATURE_SET,
            features=self.windows.features,
            details=self._details(),
        )

    def _libraries(self) -> tuple[str, ...]:
        return (*LIBRARIES, *(JAX if "lstm" in self.fitted else ()))

    def _details(self) -> dict[str, Any]:
        return {
            "detector": self.detector,
            "detectors": list(self.fitted),
            "thresholds": asdict(self.thresholds),
            "quantiles": dict(QUANTILES),
            "medians": dict(zip(self.windows.features, _medians(self.windows), strict=True)),
            "parameters": {name: dict(PARAMETERS[name]) for name in self.fitted},
            "seed": self.seed,
            "data": {
                "source": self.windows.source,
                "sha256": self.windows.sha256,
                "windows": len(self.windows.rows),
            },
            "libraries": {name: installed(name) for name in self._libraries()},
        }


def train(
    windows: Windows,
    detector: str,
    *,
    seed: int = 7,
    progress: Callable[[int], None] = lambda _: None,
) -> Learnt:
    """Learn `detector`, one of CHOICES, from windows most of which are usual.

    `progress` is told the detectors done. Raise UserError if the windows do not differ.
    """
    normal = QUANTILES["normal"]
    fitted: dict[str, Fitted] = {}
    calibrations: dict[str, Calibration] = {}
    for number, name in enumerate(CHOICES[detector], start=1):
        fitted[name] = LEARN[name](windows.rows, seed)
        calibrations[name] = Calibration.of(fitted[name].raw(windows.rows), normal, name)
        progress(number)
    combination = None
    if len(fitted) > 1:
        mean = _margins(fitted, calibrations, None, windows.rows)
        combination = Calibration.of(mean, normal, detector)
    found = _margins(fitted, calibrations, combination, windows.rows)
    scores = 1 / (1 + np.exp(-found))
    thresholds: dict[str, float] = {
        name: float(np.quantile(scores, share)) for name, share in QUANTILES.items()
    }
    return Learnt(
        detector, windows, fitted, calibrations, combination, Thresholds(**thresholds), seed
    )


def _margins(
    fitted: Mapping[str, Fitted],
    calibrations: Mapping[str, Calibration],
    combination: Calibration | None,
    rows: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    each = [calibrations[name].margin(one.raw(rows)) for name, one in fitted.items()]
    mean: npt.NDArray[np.float64] = np.stack(each).mean(axis=0)
    return mean if combination is None else combination.margin(mean)


def _medians(windows: Windows) -> list[float]:
    found: list[float] = np.nanmedian(windows.rows, axis=0).tolist()
    return found
