"""Load artefacts of each kind of model into a predictor.

A kind is registered under the name that cards carry. Its libraries are imported when a model is
loaded, so that the shelf costs nothing to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from orchestration.shelf.card import Card, UnusableModelError

if TYPE_CHECKING:
    import lightgbm
    import onnxruntime

Matrix = npt.NDArray[np.float64]  # rows by features, NaN: unknown
Scores = npt.NDArray[np.float64]
Files = Mapping[str, bytes]


class Kind(Protocol):
    """Load the models of one kind."""

    def load(self, card: Card, files: Files) -> Any:
        """Return the predictor, tried on a row where that is possible.

        `files` holds the artefacts by name; their hashes are those of the card. May raise anything
        for unfit artefacts: the shelf then refuses the model.
        """
        ...


_KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Register a kind. Raise ValueError if the name is taken."""
    if name in _KINDS:
        raise ValueError(f"the kind {name!r} is already registered")
    _KINDS[name] = kind


def load(card: Card, files: Files) -> Any:
    """Return the predictor of a model. Raise UnusableModelError if it cannot be loaded."""
    kind = _KINDS.get(card.kind)
    if kind is None:
        known = ", ".join(sorted(_KINDS))
        raise UnusableModelError(f"{card.version} is of the unknown kind {card.kind!r}: {known}")
    try:
        return kind.load(card, files)
    except UnusableModelError:
        raise
    except Exception as error:
        raise UnusableModelError(f"{card.version}: {error!r}") from error


class Trees:
    """LightGBM's boosted trees."""

    def __init__(self, features: tuple[str, ...], booster: lightgbm.Booster) -> None:
        self._features, self._booster = features, booster

    def predict(self, rows: Matrix) -> Scores:
        """Return the score of each row, shape (rows,)."""
        return np.asarray(self._booster.predict(rows, num_threads=1), dtype=np.float64)

    def contributions(self, rows: Matrix) -> list[dict[str, float]]:
        """Return what each feature adds to each row's score, in log odds.

        TreeSHAP (Lundberg et al. 2020).
        """
        added = np.asarray(
            self._booster.predict(rows, num_threads=1, pred_contrib=True), dtype=np.float64
        )
        # The last column is the bias, which belongs to no feature.
        return [dict(zip(self._features, row.tolist(), strict=False)) for row in added]

    def dump(self) -> dict[str, Any]:
        """Return the trees as LightGBM tells them, for code that walks through them itself."""
        return dict(self._booster.dump_model())


class LightGBM:
    """`model.txt`: LightGBM's own text."""

    def load(self, card: Card, files: Files) -> Trees:
        """Parse the text; see `Kind.load`."""
        import lightgbm

        booster = lightgbm.Booster(model_str=files["model.txt"].decode())
        if tuple(booster.feature_name()) != card.features:
            raise UnusableModelError(
                f"{card.version}: model.json and model.txt name different features"
            )
        trees = Trees(card.features, booster)
        # Also makes the library do its first-call work now, not during a customer's payment.
        trial = np.full((1, len(card.features)), np.nan)
        trees.predict(trial)
        trees.contributions(trial)
        return trees


class Graph:
    """An ONNX graph: one input, rows of 32-bit floats; its first output is one score per row.

    What further outputs hold, also one number per row, is the affair of its product.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [one.name for one in session.get_outputs()]

    def predict(self, rows: Matrix) -> Scores:
        """Return the score of each row, shape (rows,), computed in 32 bits."""
        return next(iter(self.outputs(rows).values()))

    def outputs(self, rows: Matrix) -> dict[str, Scores]:
        """Return every output of the graph by name, one number per row, computed in 32 bits."""
        found = self._session.run(None, {self._input: rows.astype(np.float32)})
        return {
            name: np.asarray(values, dtype=np.float64).reshape(len(rows))
            for name, values in zip(self._outputs, found, strict=True)
        }


class Onnx:
    """`model.onnx`: a graph of any library that exports one."""

    def load(self, card: Card, files: Files) -> Graph:
        """Parse the graph; see `Kind.load`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = Graph(
            onnxruntime.InferenceSession(
                files["model.onnx"], options, providers=["CPUExecutionProvider"]
            )
        )
        graph.predict(np.zeros((2, len(card.features))))
        return graph


class Index:
    """Files that only their product can read, such as an index of neighbours."""

    def load(self, card: Card, files: Files) -> Files:
        """Return the files unchanged."""
        return files


register("lightgbm", LightGBM())
register("onnx", Onnx())
register("index", Index())
