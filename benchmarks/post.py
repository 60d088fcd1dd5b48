"""Measure `POST /v1/fraud/transactions` at a fixed rate, through Kafka, Flink, consumer and back.

    python -m benchmarks.post [--rate 100] [--seconds 30]

Needs the whole stack (`millrace up`) with a model. Target: p99 60 ms at 100 requests/s.
"""

from __future__ import annotations

import argparse
import random
import time
import uuid
from datetime import UTC, datetime

import orjson

from benchmarks.load import Outcome, post, run
from benchmarks.report import keep, show
from config.settings import settings
from millrace.stack.environ import api_keys

CUSTOMERS = 5000
TERMINALS = 10_000


def payments(host: str, key: str, count: int, seed: int) -> list[bytes]:
    """Make requests for `count` new payments by random customers."""
    rng, run_id = random.Random(seed), uuid.uuid4().hex[:12]
    requests = []
    for number in range(count):
        payment = {
            "transaction_id": f"bench-{run_id}-{number}",
            "customer_id": f"bench-c{rng.randrange(CUSTOMERS)}",
            "terminal_id": f"bench-t{rng.randrange(TERMINALS)}",
            "amount": round(rng.lognormvariate(3.5, 1), 2),
            "event_time": datetime.now(UTC).isoformat(),
        }
        path = "/v1/fraud/transactions?deadline_ms=5000"
        requests.append(post(host, path, orjson.dumps(payment), f"X-API-Key: {key}\r\n"))
    return requests


def load(rate: float, seconds: float, seed: int) -> Outcome:
    """Run once against the stack's API."""
    configured = settings()
    key = api_keys(configured).split(",")[0]
    requests = payments(configured.host, key, int(rate * seconds), seed)
    address = (configured.host, configured.port("api"))
    return run(address, lambda number: requests[number], rate=rate, seconds=seconds, patience=10)


def main() -> None:
    """Warm up, run, print and keep the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    load(options.rate, 5, seed=1)
    time.sleep(1)
    outcome = load(options.rate, options.seconds, seed=2)
    p50, p90, p99, p999 = outcome.milliseconds(50, 90, 99, 99.9)
    row = {
        "requests_per_second": options.rate,
        "decided": outcome.statuses[200],
        "pending": outcome.statuses[202],
        "failed": outcome.failed(200, 202),
        "p50_ms": round(p50, 2),
        "p90_ms": round(p90, 2),
        "p99_ms": round(p99, 2),
        "p99.9_ms": round(p999, 2),
    }
    show("POST, whole path", [row])
    print(keep("post", row))


if __name__ == "__main__":
    main()
