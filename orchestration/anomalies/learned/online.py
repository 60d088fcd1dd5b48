"""Judge the rows of one asset by a learned detector, one after the other, as MEWMA does."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import onnxruntime

from orchestration.anomalies.learned.graph import SCORE
from orchestration.anomalies.learned.rows import Windows
from orchestration.anomalies.learned.train import train

WIDTH = 40
"""Rows of which the mean of each channel is judged, as by MEWMA."""


class Online:
    """A detector that learns from an asset's first rows and then never again.

    What it judges is the mean of each channel over the last `WIDTH` rows.
    """

    def __init__(self, detector: str, training: int) -> None:
        """Learn `detector`, one of CHOICES, from the first `training` rows."""
        self._detector, self._training = detector, training
        self._last: deque[Sequence[float]] = deque(maxlen=WIDTH)
        self._learnt: list[list[float]] = []
        self._session: onnxruntime.InferenceSession | None = None

    def score(self, row: Sequence[float]) -> float:
        """Return the score of a row, 0 to 1; 0 while it learns."""
        self._last.append(row)
        means = np.mean(np.array(self._last), axis=0)
        if self._session is not None:
            asked = {self._session.get_inputs()[0].name: means[None].astype(np.float32)}
            return float(self._session.run([SCORE], asked)[0][0, 0])
        if len(self._last) == WIDTH:
            self._learnt.append(means.tolist())
        if len(self._learnt) + WIDTH - 1 == self._training:
            self._session = self._graph()
        return 0.0

    def _graph(self) -> onnxruntime.InferenceSession:
        rows = np.array(self._learnt)
        names = tuple(f"channel_{number}" for number in range(rows.shape[1]))
        content = train(Windows(names, rows), self._detector).graph().SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
