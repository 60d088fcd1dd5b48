from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from domain.features.fraud import FRAUD

FEATURES = ("amount", "customer_count_1h", "terminal_risk_7d")
WriteModel = Callable[..., Path]


@pytest.fixture(scope="session")
def booster() -> lightgbm.Booster:
    """Fraud is an amount above 50, and a little the terminal's risk."""
    rng = np.random.default_rng(3)
    x = rng.random((2000, len(FEATURES))) * [100, 10, 1]
    y = (x[:, 0] + 10 * x[:, 2] > 55).astype(np.int8)
    data = lightgbm.Dataset(x, y, feature_name=list(FEATURES))
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1}, data, 20)


@pytest.fixture
def write_model(tmp_path: Path, booster: lightgbm.Booster) -> WriteModel:
    """Writes a model under `tmp_path` and, unless told otherwise, makes it current."""

    def write(
        version: str = "m1", *, feature_set: str = FRAUD.version, current: bool = True, **changes: object
    ) -> Path:
        folder = tmp_path / version
        folder.mkdir()
        booster.save_model(str(folder / "model.txt"))
        card = {
            "version": version,
            "feature_set_version": feature_set,
            "features": FEATURES,
            "thresholds": {"review": 0.3, "block": 0.8},
            **changes,
        }
        (folder / "model.json").write_text(json.dumps(card))
        if current:
            (tmp_path / "current").write_text(version + "\n")
        return folder

    return write
