"""An LSTM autoencoder of windows, learnt by JAX and written as a graph of ONNX.

Malhotra et al. 2016. A window's features, in their order, are a sequence of single values: best
where they are steps of time, such as readings at even distances. An LSTM reads it; what it holds at
the end is all that a second LSTM gets, which tells the sequence again. The strangeness is the mean
squared difference. LSTM: Hochreiter and Schmidhuber 1997, with a forget gate.

JAX is needed for learning alone: serving runs the graph by onnxruntime.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from config.errors import UserError
from orchestration.anomalies.learned.graph import OPSET
from orchestration.anomalies.learned.rows import Matrix

Floats = npt.NDArray[np.float32]

HIDDEN = 16
"""Numbers that the first LSTM holds of a window."""
EPOCHS, BATCH, RATE = 60, 64, 0.01
ROWS = 10_000
"""Windows that it learns at most."""
FURTHEST = 20.0
"""Standard deviations beyond which a value counts as this."""
ML = "ai.onnx.ml"
GATES = 4
"""In ONNX's order: input, output, forget, cell."""


def installed() -> bool:
    """Return whether JAX is there."""
    return all(importlib.util.find_spec(name) is not None for name in ("jax", "optax"))


@dataclass(frozen=True, slots=True)
class Scale:
    """What fills and scales each feature: training's median, mean and standard deviation."""

    medians: Floats
    means: Floats
    deviations: Floats

    @classmethod
    def of(cls, rows: Matrix) -> Scale:
        """Measure training windows; a feature that never changes has the deviation 1."""
        medians = np.nanmedian(rows, axis=0)
        filled = np.where(np.isnan(rows), medians, rows)
        spread = filled.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        parts = (medians, filled.mean(axis=0), spread)
        return cls(*(part.astype(np.float32) for part in parts))

    def scaled(self, rows: Matrix) -> Floats:
        """Return windows in deviations from the mean, in 32 bits."""
        narrow = rows.astype(np.float32)
        filled = np.where(np.isnan(narrow), self.medians, narrow)
        found: Floats = (filled - self.means) / self.deviations
        return np.clip(found, -FURTHEST, FURTHEST)


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """A network that has learnt.

    `weights` holds of each LSTM, `encoder` and `decoder`, `_w` (inputs, 4 hidden), `_r` (hidden, 4
    hidden) and `_b` (4 hidden), gates in ONNX's order; and `out_w` (hidden, 1), `out_b` (1).
    """

    scale: Scale
    weights: Mapping[str, Floats]

    def raw(self, rows: Matrix) -> npt.NDArray[np.float64]:
        """Return the mean squared difference of each window from what is told of it, by JAX."""
        import jax

        errors = jax.jit(_errors)(dict(self.weights), self.scale.scaled(rows))
        return np.asarray(errors, dtype=np.float64)

    def export(self) -> onnx.ModelProto:
        """Return a graph of windows to their strangeness, shape (windows, 1)."""
        return _graph(self.scale, self.weights)


def fit(rows: Matrix, seed: int) -> Autoencoder:
    """Learn from windows most of which are usual. Raise UserError where JAX is not installed."""
    if not installed():
        raise UserError("the LSTM autoencoder is learnt by JAX: type `scripts/setup.sh --with ml`")
    if len(rows) > ROWS:
        drawn = np.random.default_rng(seed).choice(len(rows), ROWS, replace=False)
        rows = rows[np.sort(drawn)]
    scale = Scale.of(rows)
    weights = _learnt(scale.scaled(rows), seed)
    return Autoencoder(scale, {name: np.asarray(one, np.float32) for name, one in weights.items()})


def _learnt(rows: Floats, seed: int) -> Mapping[str, Any]:
    """Return the weights after `EPOCHS` of Adam, the rate falling to zero by a cosine."""
    import jax
    import optax

    batch = min(BATCH, len(rows))
    steps = len(rows) // batch
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, EPOCHS * steps))

    def loss(weights: Any, some: Any) -> Any:
        return _errors(weights, some).mean()

    def step(held: Any, some: Any) -> Any:
        weights, state = held
        updates, state = optimizer.update(jax.grad(loss)(weights, some), state)
        return (optax.apply_updates(weights, updates), state), None

    def epoch(held: Any, batches: Any) -> Any:
        return jax.lax.scan(step, held, batches)[0]

    compiled = jax.jit(epoch)
    weights = _first(seed)
    held = (weights, optimizer.init(weights))
    chance = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = chance.permutation(len(rows))[: steps * batch]
        held = compiled(held, rows[order].reshape(steps, batch, rows.shape[1]))
    learnt: Mapping[str, Any] = held[0]
    return learnt


def _first(seed: int) -> dict[str, Floats]:
    """Return weights to begin with: uniform by the hidden width; forget gates open."""
    chance = np.random.default_rng(seed)
    bound = 1 / np.sqrt(HIDDEN)

    def drawn(*shape: int) -> Floats:
        return chance.uniform(-bound, bound, shape).astype(np.float32)

    bias = np.zeros(GATES * HIDDEN, np.float32)
    bias[2 * HIDDEN : 3 * HIDDEN] = 1.0
    wide = GATES * HIDDEN
    return {
        "encoder_w": drawn(1, wide),
        "encoder_r": drawn(HIDDEN, wide),
        "encoder_b": bias,
        "decoder_w": drawn(HIDDEN, wide),
        "decoder_r": drawn(HIDDEN, wide),
        "decoder_b": bias.copy(),
        "out_w": drawn(HIDDEN, 1),
        "out_b": np.zeros(1, np.float32),
    }


def _errors(weights: Any, rows: Any) -> Any:
    """Return the mean squared difference of each scaled window, shape (windows,)."""
    import jax.numpy as jnp

    inputs = rows.T[:, :, None]  # steps, windows, 1
    held = _lstm(weights, "encoder", inputs)[-1]
    again = jnp.broadcast_to(held, (inputs.shape[0], *held.shape))
    told = _lstm(weights, "decoder", again) @ weights["out_w"] + weights["out_b"]
    return ((told - inputs) ** 2).mean(axis=(0, 2))


def _lstm(weights: Any, name: str, inputs: Any) -> Any:
    """Return what an LSTM tells at each step, shape (steps, windows, hidden)."""
    import jax
    import jax.numpy as jnp

    w, r, b = (weights[f"{name}_{part}"] for part in "wrb")

    def step(held: Any, one: Any) -> Any:
        told, cell = held
        gates = jnp.split(one @ w + told @ r + b, GATES, axis=-1)
        open_in, open_out, keep = (jax.nn.sigmoid(gate) for gate in gates[:3])
        cell = keep * cell + open_in * jnp.tanh(gates[3])
        told = open_out * jnp.tanh(cell)
        return (told, cell), told

    empty = jnp.zeros((inputs.shape[1], HIDDEN), inputs.dtype)
    return jax.lax.scan(step, (empty, empty), inputs)[1]


def _graph(scale: Scale, weights: Mapping[str, Floats]) -> onnx.ModelProto:
    many = len(scale.medians)
    nodes = [
        helper.make_node(
            "Imputer",
            ["rows"],
            ["filled"],
            domain=ML,
            imputed_value_floats=scale.medians.tolist(),
            replaced_value_float=float("nan"),
        ),
        helper.make_node("Sub", ["filled", "means"], ["centred"]),
        helper.make_node("Div", ["centred", "deviations"], ["divided"]),
        helper.make_node("Clip", ["divided", "least", "most"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["turned"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["turned", "last"], ["steps"]),
        _lstm_node("encoder", "steps", ["", "held"]),
        helper.make_node("Tile", ["held", "again"], ["repeated"]),
        _lstm_node("decoder", "repeated", ["spoken"]),
        helper.make_node("Squeeze", ["spoken", "second"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "out_w"], ["mixed"]),
        helper.make_node("Add", ["mixed", "out_b"], ["told"]),
        helper.make_node("Sub", ["told", "steps"], ["missed"]),
        helper.make_node("Mul", ["missed", "missed"], ["squared"]),
        helper.make_node("ReduceMean", ["squared"], ["strangeness"], axes=[0], keepdims=0),
    ]
    constants = {
        "means": scale.means,
        "deviations": scale.deviations,
        "least": np.float32(-FURTHEST),
        "most": np.float32(FURTHEST),
        "last": np.array([2], np.int64),
        "second": np.array([1], np.int64),
        "again": np.array([many, 1, 1], np.int64),
        "out_w": weights["out_w"],
        "out_b": weights["out_b"],
        **_lstm_constants(weights, "encoder"),
        **_lstm_constants(weights, "decoder"),
    }
    graph = helper.make_graph(
        nodes,
        "autoencoder",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, many])],
        [helper.make_tensor_value_info("strangeness", TensorProto.FLOAT, [None, 1])],
        initializer=[
            numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()
        ],
    )
    opsets = [helper.make_opsetid(domain, number) for domain, number in OPSET.items()]
    return helper.make_model(graph, opset_imports=opsets)


def _lstm_node(name: str, inputs: str, outputs: list[str]) -> onnx.NodeProto:
    parts = [f"{name}_{part}" for part in ("W", "R", "B")]
    return helper.make_node("LSTM", [inputs, *parts], outputs, hidden_size=HIDDEN)


def _lstm_constants(weights: Mapping[str, Floats], name: str) -> dict[str, Floats]:
    """Return the weights as ONNX has them: one direction first, and a second bias of zeros."""
    bias = weights[f"{name}_b"]
    return {
        f"{name}_W": weights[f"{name}_w"].T[None],
        f"{name}_R": weights[f"{name}_r"].T[None],
        f"{name}_B": np.concatenate([bias, np.zeros_like(bias)])[None],
    }
