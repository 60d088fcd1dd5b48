"""Compute the Fraud Detection Handbook's own features and the models that it compares on them.

Le Borgne et al., chapter 3.4, "Baseline feature transformation", and chapter 5.2. Windows are of
exact length and hold the payment itself; the risk of a terminal is taken from payments that are
seven days old and older. Nothing of Millrace's own features is used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from orchestration.training.metrics import DAY_MS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR_MS = 3_600_000
WINDOWS = (1, 7, 30)
DELAY = 7
_EXACT = 10_000
SLOW = frozenset({"random-forest"})
"""What takes minutes on months of payments: its trees grow to the end."""
NAMES = (
    "TX_AMOUNT",
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    *(f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW" for days in WINDOWS),
    *(f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW" for days in WINDOWS),
    *(f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW" for days in WINDOWS),
    *(f"TERMINAL_ID_RISK_{days}DAY_WINDOW" for days in WINDOWS),
)


def features(
    time: Ints,
    customer: npt.NDArray[Any],
    terminal: npt.NDArray[Any],
    amount: Floats,
    fraud: npt.NDArray[np.bool_],
) -> Floats:
    """Return the 15 features of payments in order of time (ms), one column each, as `NAMES`."""
    weekend = (time // DAY_MS + 3) % 7 >= 5
    night = time // HOUR_MS % 24 <= 6
    customers, terminals = Grouped(customer, time), Grouped(terminal, time)
    columns: list[npt.NDArray[Any]] = [amount, weekend, night]
    counts = [customers.sums(np.ones(len(time)), days * DAY_MS) for days in WINDOWS]
    means = [
        customers.sums(amount, days * DAY_MS) / count
        for days, count in zip(WINDOWS, counts, strict=True)
    ]
    columns += [*counts, *means]
    seen, risks = zip(*_risks(terminals, fraud.astype(np.float64)), strict=True)
    return np.column_stack([*columns, *seen, *risks]).astype(np.float64)


def _risks(terminals: Grouped, fraud: Floats) -> Iterator[tuple[Floats, Floats]]:
    ones = np.ones(len(fraud))
    late_count, late_fraud = (terminals.sums(one, DELAY * DAY_MS) for one in (ones, fraud))
    for days in WINDOWS:
        length = (DELAY + days) * DAY_MS
        count = terminals.sums(ones, length) - late_count
        frauds = terminals.sums(fraud, length) - late_fraud
        yield count, np.divide(frauds, count, out=np.zeros(len(fraud)), where=count > 0)


class Grouped:
    """Payments by an entity, each entity's in order of time, to be summed over windows."""

    def __init__(self, entity: npt.NDArray[Any], time: Ints) -> None:
        codes = np.unique(entity, return_inverse=True)[1].astype(np.int64)
        self._order = np.lexsort((np.arange(len(time)), time, codes))
        span = int(time.max() - time.min() + 1 if len(time) else 1) + 64 * DAY_MS
        self._moment = (codes * span + (time - time.min() if len(time) else time))[self._order]

    def sums(self, values: Floats, length_ms: int) -> Floats:
        """Return, for each payment, the sum of its entity's up to it, younger than `length_ms`.

        Values are added as whole ten-thousandths: exactly, so no payment of later shows in a sum.
        """
        whole = np.rint(values[self._order] * _EXACT).astype(np.int64)
        running = np.concatenate([[0], np.cumsum(whole)])
        first = np.searchsorted(self._moment, self._moment - length_ms, side="right")
        summed = np.empty(len(values))
        summed[self._order] = (running[1:] - running[first]) / _EXACT
        return summed


Scorer = Callable[[Floats], Floats]


def models(seed: int = 0) -> dict[str, Callable[[Floats, npt.NDArray[np.bool_]], Scorer]]:
    """Return what fits each of the Handbook's models, by name, with the Handbook's settings.

    XGBoost is left out where it is not installed.
    """
    made: dict[str, Callable[[], Any]] = {
        "logistic-regression": lambda: LogisticRegression(random_state=seed, max_iter=1000),
        "random-forest": lambda: RandomForestClassifier(random_state=seed, n_jobs=2),
    }
    if find_spec("xgboost"):
        made["xgboost"] = lambda: _xgboost(seed)
    return {name: _fits(make) for name, make in made.items()}


def _xgboost(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=2)


def _fits(make: Callable[[], Any]) -> Callable[[Floats, npt.NDArray[np.bool_]], Scorer]:
    def fit(x: Floats, y: npt.NDArray[np.bool_]) -> Scorer:
        model = make_pipeline(StandardScaler(), make()).fit(x, y.astype(np.int64))
        return lambda asked: np.asarray(model.predict_proba(asked)[:, 1], dtype=np.float64)

    return fit
