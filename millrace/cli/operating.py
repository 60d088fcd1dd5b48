"""`millrace evaluate fraud --operating-points`: precision and recall at chosen thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from millrace.cli.reliability import reliability
from millrace.stages import Stages

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from orchestration.fraud.operating import Operated
    from orchestration.fraud.train import Data
    from orchestration.training.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Asked:
    """A measurement to make: its payments, folds and seed, and what it is made with."""

    source: Data
    starts: list[int]
    seed: int
    scenario: npt.NDArray[np.int64] | None
    kernel: Kernel | None
    stage: Stages


def operating(asked: Asked) -> tuple[dict[str, Any], Callable[[], None]]:
    """Measure, and return the result as JSON has it and what prints it as a table."""
    from orchestration.fraud.bound import knowable
    from orchestration.fraud.operating import operate
    from orchestration.fraud.protocol import FOLDS

    found = operate(
        asked.source,
        asked.starts,
        seed=asked.seed,
        knowable=None if asked.scenario is None else knowable(asked.source, asked.scenario),
        kernel=asked.kernel,
        progress=asked.stage("features", len(asked.source.payments)),
        report=asked.stage("folds", len(asked.starts) or FOLDS),
    )
    return found.document(), lambda: _show(found)


def _show(found: Operated) -> None:
    from orchestration.fraud.operating import POINTS

    table = Table(
        title=f"{len(found.folds)} test weeks, thresholds chosen on the weeks before",
        title_justify="left",
    )
    table.add_column("point", no_wrap=True)
    for unit in ("payment", "card"):
        for share in ("precision", "recall"):
            table.add_column(f"{share}, {unit}s", justify="right")
    for name, counted in found.total().items():
        shares = (
            one for unit in (counted.payment, counted.card) for one in (unit.precision, unit.recall)
        )
        table.add_row(name, *("-" if one is None else f"{one:.3f}" for one in shares))
    console = Console()
    console.print(table)
    for name, what in POINTS.items():
        console.print(f"{name}: {what}")
    console.print(reliability(found.calibration))
