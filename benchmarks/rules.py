"""Measure the cost of rules beside the model, a payment: `python -m benchmarks.rules`.

CPU time of one thread, the least of nine repetitions, by the rules of config/rules.yaml: of a
payment that meets none, and of one that meets as many as can be.
"""

from __future__ import annotations

import json
import sys
import timeit
from time import process_time
from typing import Any

from config.settings import ROOT
from domain.fraud.features import FRAUD
from ingestion.fraud.rules import load

PAYMENTS = 20_000
REPETITIONS = 9
PLAIN: dict[str, Any] = dict.fromkeys(FRAUD.columns, 1.0)
SUSPECT = PLAIN | {
    "amount": 900.0,
    "is_night": 1,
    "customer_count_1h": 6,
    "customer_count_30d": 40,
    "customer_mean_30d": 50.0,
    "customer_max_30d": 900.0,
    "terminal_labels_7d": 9,
}


def main() -> None:
    """Print the microseconds a payment, and how many rules it met, as JSON."""
    rules = load(ROOT / "config" / "rules.yaml")
    told: dict[str, Any] = {"rules": len(rules.rules)}
    for name, record in (("plain", PLAIN), ("suspect", SUSPECT)):
        runs = timeit.repeat(
            lambda record=record: rules.hits(record),  # type: ignore[misc]
            number=PAYMENTS,
            repeat=REPETITIONS,
            timer=process_time,
        )
        us = round(min(runs) / PAYMENTS * 1e6, 2)
        told[name] = {"us": us, "hits": len(rules.hits(record))}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
