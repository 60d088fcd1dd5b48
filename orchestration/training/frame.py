"""The training frame.

A product's feature rows, computed by the engine that specifies what the job computes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows in order of event time: `x` (rows by features, NaN.

    Unknown), `y` fraud or not, times in ms, customers.
    """

    features: tuple[str, ...]
    x: Floats
    y: npt.NDArray[np.bool_]
    event_time: npt.NDArray[np.int64]
    customer: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.y)

    def part(self, mask: npt.NDArray[np.bool_]) -> Frame:
        """The rows where `mask` holds."""
        return Frame(
            self.features, self.x[mask], self.y[mask], self.event_time[mask], self.customer[mask]
        )

    def digest(self) -> str:
        """SHA-256 over names and values: equal frames, equal digests."""
        digest = hashlib.sha256("\n".join(self.features).encode())
        for array in (self.x, self.y, self.event_time):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\n".join(self.customer.tolist()).encode())
        return digest.hexdigest()


def collect(
    rows: Iterable[Mapping[str, Any]],
    fraud: Mapping[str, bool],
    features: Sequence[str],
    progress: Progress = lambda _: None,
) -> Frame:
    """Feature rows with the verdict on each.

    `fraud`: by transaction id; `progress` is told how many rows are done.
    """
    x: list[list[float | None]] = []
    y: list[bool] = []
    times: list[int] = []
    customers: list[str] = []
    for count, row in enumerate(rows, start=1):
        x.append([row[name] for name in features])
        y.append(fraud[row["transaction_id"]])
        times.append(row["event_time"])
        customers.append(row["customer_id"])
        if count % 500 == 0:
            progress(count)
    matrix = np.array(x, dtype=np.float64).reshape(len(y), len(features))
    return Frame(
        tuple(features),
        matrix,
        np.array(y, dtype=np.bool_),
        np.array(times, dtype=np.int64),
        np.array(customers, dtype=np.str_),
    )
