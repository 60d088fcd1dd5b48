"""Make the events every contestant gets: seeded card payments, encoded once to a file.

Customers differ in how often they pay (weights from a gamma distribution of shape 2) and pay at
uniform times over `days` days. Records arrive in event-time order, except that 2 % are delayed by
up to ten minutes: that is the disorder. Amounts are log-normal, in cents; 1 % are refunds
(negative). Nothing is late and nothing is a duplicate: those paths are the property test's
business, here every contestant must do the full work for every event.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import fastavro
import numpy as np
from numpy.typing import NDArray

from ingestion.schema import load

VERSION = 1
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DISORDER_SHARE, DISORDER_MS = 0.02, 600_000
TERMINALS = 5_000


@dataclass(frozen=True, slots=True)
class Workload:
    """Payments by `customers` customers over `days` days of event time, determined by `seed`."""

    customers: int = 10_000
    events: int = 2_000_000
    days: int = 40
    seed: int = 7

    @property
    def name(self) -> str:
        """The name of files and topics: workloads of one name hold the same bytes."""
        return f"v{VERSION}-c{self.customers}-n{self.events}-d{self.days}-s{self.seed}"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Avro bodies without wire-format header, and the key of each.

    The header is left out since the schema's id is the registry's.
    """

    bodies: bytes
    ends: NDArray[np.int64]
    customers: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ends)

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Yield every (key, body) in order of arrival."""
        start = 0
        for customer, end in zip(self.customers.tolist(), self.ends.tolist(), strict=True):
            yield f"c{customer:07d}", self.bodies[start:end]
            start = end


def _columns(
    workload: Workload,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """Draw customer, terminal, event time (ms) and amount of each event, in order of arrival."""
    rng = np.random.default_rng(workload.seed)
    weights = rng.gamma(2.0, size=workload.customers)
    customers = rng.choice(
        workload.customers, size=workload.events, p=weights / weights.sum()
    ).astype(np.int32)
    terminals = rng.integers(TERMINALS, size=workload.events, dtype=np.int32)
    times = START_MS + np.sort(rng.integers(workload.days * 86_400_000, size=workload.events))
    amounts = np.maximum(np.round(rng.lognormal(3.5, 0.8, workload.events), 2), 0.01)
    amounts[rng.random(workload.events) < 0.01] *= -1.0
    delayed = rng.random(workload.events) < DISORDER_SHARE
    arrival = times + np.where(delayed, rng.integers(1, DISORDER_MS, workload.events), 0)
    order = np.argsort(arrival, kind="stable")
    return customers[order], terminals[order], times[order], amounts[order]


def _encode(workload: Workload) -> Encoded:
    schema = fastavro.parse_schema({**load("Transaction")})
    customers, terminals, times, amounts = _columns(workload)
    out, ends = io.BytesIO(), np.empty(workload.events, np.int64)
    rows = zip(
        customers.tolist(), terminals.tolist(), times.tolist(), amounts.tolist(), strict=True
    )
    for index, (customer, terminal, time, amount) in enumerate(rows):
        record = {
            "transaction_id": f"t{index:010d}",
            "event_time": time,
            "customer_id": f"c{customer:07d}",
            "terminal_id": f"m{terminal:05d}",
            "amount": amount,
        }
        fastavro.schemaless_writer(out, schema, record)
        ends[index] = out.tell()
    return Encoded(out.getvalue(), ends, customers)


def encoded(workload: Workload, cache: Path) -> Encoded:
    """Return the workload's records from `cache`, made first if absent (50 bytes an event)."""
    folder = cache / workload.name
    if not (folder / "workload.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = _encode(workload)
        (folder / "bodies.bin").write_bytes(made.bodies)
        np.save(folder / "ends.npy", made.ends)
        np.save(folder / "customers.npy", made.customers)
        # Written last: it marks the folder as complete.
        (folder / "workload.json").write_text(json.dumps(asdict(workload)))
    return Encoded(
        (folder / "bodies.bin").read_bytes(),
        np.load(folder / "ends.npy"),
        np.load(folder / "customers.npy"),
    )
