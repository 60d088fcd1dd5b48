"""Say which frauds can be known at all, by the scenarios that the Handbook's simulator names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from orchestration.fraud.train import Data
from orchestration.training.metrics import DAY_MS

_COMPROMISED_MS = 28 * DAY_MS


def knowable(data: Data, scenario: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which of the payments of `data` can be known; see `known`."""
    payments = data.payments
    time, terminal = payments.numbers("event_time"), payments.texts("terminal_id")
    return known(time, terminal, scenario, data.delay_ms)


def known(
    time: npt.NDArray[np.int64],
    terminal: npt.NDArray[Any],
    scenario: npt.NDArray[np.int64],
    delay_ms: int,
) -> npt.NDArray[np.bool_]:
    """Return which payments somebody who knew the simulator could call fraud when they are made.

    All of scenarios 1 and 3; of scenario 2, a compromised terminal, those with an earlier fraud of
    the same 28 days that is judged. A terminal's first days have none.
    """
    found = np.isin(scenario, (1, 3))
    struck = np.flatnonzero(scenario == 2)
    seen: dict[Any, list[int]] = {}
    for place in struck:
        now = int(time[place])
        earlier = seen.setdefault(terminal[place], [])
        found[place] = any(delay_ms <= now - then < _COMPROMISED_MS for then in earlier)
        earlier.append(now)
    return np.asarray(found, dtype=np.bool_)
