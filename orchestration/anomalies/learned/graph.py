"""Join detectors of one input into one ONNX graph, with calibrated margins and scores.

Every detector's raw output rises with strangeness. A margin is that output in units of training:
`(raw - threshold) / (threshold - median)` times `STEEPNESS`, so 0 is the threshold, and a score is
its logistic function. The combination is the mean of the margins, calibrated again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from config.errors import UserError

OPSET = {"": 17, "ai.onnx.ml": 3}
INPUT, SCORE, MARGIN = "windows", "score", "margin"
STEEPNESS = 3.0
"""Log odds between the median of training and its threshold: the median scores 0.047."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What of a detector's output on its training windows is the threshold, and the middle."""

    threshold: float
    median: float

    @classmethod
    def of(cls, raw: npt.NDArray[np.float64], quantile: float, name: str) -> Calibration:
        """Calibrate by training's outputs. Raise UserError if they do not differ enough."""
        threshold, median = (float(found) for found in np.quantile(raw, [quantile, 0.5]))
        if not threshold - median > 1e-9 * max(1.0, abs(median)):
            raise UserError(f"{name}: nearly all windows are alike, so no threshold can be learnt")
        return cls(threshold, median)

    def margin(self, raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return outputs as log odds of being beyond the threshold."""
        return (raw - self.threshold) * (STEEPNESS / (self.threshold - self.median))


def joined(
    detectors: Mapping[str, tuple[onnx.ModelProto, Calibration]],
    combination: Calibration | None,
    features: int,
) -> onnx.ModelProto:
    """Return one graph of detectors, each of one input and one output of shape (windows, 1).

    Its outputs are SCORE and MARGIN of the whole, then MARGIN_name of each detector, all of shape
    (windows, 1). `combination` is needed where there are several.
    """
    if (len(detectors) > 1) != (combination is not None):
        raise ValueError("a combination is calibrated, and one detector is none")
    nodes, constants, parts = [], [], []
    for name, (model, calibration) in detectors.items():
        graph = compose.add_prefix(model, f"{name}/").graph
        nodes += [helper.make_node("Identity", [INPUT], [graph.input[0].name]), *graph.node]
        constants += graph.initializer
        parts.append(f"{MARGIN}_{name}")
        found, added = _calibrated(graph.output[0].name, parts[-1], calibration)
        nodes, constants = nodes + found, constants + added
    nodes.append(helper.make_node("Mean", parts, ["mean"]))
    if combination is None:
        nodes.append(helper.make_node("Identity", ["mean"], [MARGIN]))
    else:
        found, added = _calibrated("mean", MARGIN, combination)
        nodes, constants = nodes + found, constants + added
    nodes.append(helper.make_node("Sigmoid", [MARGIN], [SCORE]))

    def value(name: str, width: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])

    outputs = [value(name, 1) for name in (SCORE, MARGIN, *parts)]
    graph = helper.make_graph(
        nodes, "anomalies", [value(INPUT, features)], outputs, initializer=constants
    )
    opsets = [helper.make_opsetid(domain, number) for domain, number in OPSET.items()]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="millrace")
    onnx.checker.check_model(made)
    return made


def _calibrated(
    raw: str, margin: str, calibration: Calibration
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return nodes that make a margin of a raw output, and their constants."""
    factor = STEEPNESS / (calibration.threshold - calibration.median)
    numbers = {f"{margin}/threshold": calibration.threshold, f"{margin}/factor": factor}
    constants = [
        numpy_helper.from_array(np.array([number], np.float32), name)
        for name, number in numbers.items()
    ]
    nodes = [
        helper.make_node("Sub", [raw, f"{margin}/threshold"], [f"{margin}/beyond"]),
        helper.make_node("Mul", [f"{margin}/beyond", f"{margin}/factor"], [margin]),
    ]
    return nodes, constants
