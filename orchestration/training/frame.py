"""Build the training frame: a product's feature rows as a matrix, with the verdict on each.

The kernel computes it as it computes the job's features (`by_kernel`); the reference engine, which
specifies both, does the same slowly (`by_reference`).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestration.training.kernel import Kernel, Plan

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Progress = Callable[[int], None]
ROWS_A_CHUNK = 16_384
_CUSTOMERS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows in order of event time.

    `x` has the shape (rows, features), NaN where a feature is unknown; `y` says which rows are
    fraud; times are in ms.
    """

    features: tuple[str, ...]
    x: Floats
    y: npt.NDArray[np.bool_]
    event_time: Ints
    customer: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.y)

    def part(self, rows: slice | Ints) -> Frame:
        """Return the rows of a slice, sharing this frame's memory, or a copy of those at places."""
        return Frame(
            self.features, self.x[rows], self.y[rows], self.event_time[rows], self.customer[rows]
        )

    def between(self, begin: int, end: int) -> Frame:
        """Return the rows with an event time of `begin` or later and before `end`."""
        first, last = np.searchsorted(self.event_time, [begin, end])
        return self.part(slice(int(first), int(last)))

    def digest(self) -> str:
        """Return the SHA-256 over names and values: equal frames have equal digests."""
        digest = hashlib.sha256("\n".join(self.features).encode())
        for array in (self.x, self.y, self.event_time):
            digest.update(np.ascontiguousarray(array).reshape(-1).data)
        for start in range(0, len(self), _CUSTOMERS_AT_ONCE):
            text = "\n".join(self.customer[start : start + _CUSTOMERS_AT_ONCE].tolist())
            digest.update(("\n" + text if start else text).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Matrix:
    """Computed rows: `x` is rows by features, `places` the index of each row in the source."""

    x: Floats
    places: Ints


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of a stream, with the columns that a plan reads, and the index in the source of each."""

    rows: pa.RecordBatch
    sequence: Ints


def by_kernel(
    kernel: Kernel,
    plan: Plan,
    stream: Iterable[Chunk],
    most: int,
    progress: Progress = lambda _: None,
) -> Matrix:
    """Compute the plan's outputs over the stream's rows.

    `most` is the most rows that may be emitted; `progress` is called with the number emitted so
    far. Raise KernelError when the kernel's process fails.
    """
    pending: deque[Ints] = deque()

    def chunks() -> Iterator[pa.RecordBatch]:
        for part in stream:
            pending.append(part.sequence)
            yield part.rows

    matrix = Matrix(np.empty((most, len(plan.outputs))), np.empty(most, np.int64))
    done = 0
    for answer in kernel.run(plan, chunks()):
        end = done + len(answer.places)
        matrix.x[done:end] = answer.values
        matrix.places[done:end] = pending.popleft()[answer.places]
        done = end
        progress(done)
    return Matrix(matrix.x[:done], matrix.places[:done])


def by_reference(
    rows: Iterable[Mapping[str, Any]],
    features: Sequence[str],
    offsets: Ints,
    progress: Progress = lambda _: None,
) -> Matrix:
    """Collect the features of rows that the reference engine computed.

    A row's `sequence` is its index in the log, and `offsets` are the indices there of the source's
    rows, ascending; `progress` is called with the number done.
    """
    x: list[list[float | None]] = []
    places: list[int] = []
    for count, row in enumerate(rows, start=1):
        x.append([row[name] for name in features])
        places.append(row["sequence"])
        if count % 500 == 0:
            progress(count)
    matrix = np.array(x, dtype=np.float64).reshape(len(places), len(features))
    return Matrix(matrix, np.searchsorted(offsets, np.array(places, dtype=np.int64)))
