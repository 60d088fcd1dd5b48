"""Measure `GET /v1/fraud/transactions/{id}` beside a bare server doing the same Redis read.

    python -m benchmarks.lookup [--rate 500] [--seconds 2] [--rounds 20]

Needs Redis, Kafka and the registry; starts an API and a bare server of its own and asks them in
turns, so that what else the machine does hits both. `p99_ratio` is the median over the rounds of
API over bare: a burst of something else falls into one round and then moves it little, where it
would move the p99 of all requests of one server (`p99_ratio_of_all`) much. Targets: p99 5 ms, and
1.3 times the bare server.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import psutil
import redis

from benchmarks.load import Outcome, get, run
from benchmarks.report import keep, show
from config.settings import Settings, settings
from serving.fraud import keys
from serving.fraud.types import SCORE

KEYS = 2000
API_KEY = "bench-lookup-key"
SHIFT = 600  # added to the stack's ports for the servers started here
# As long as real ones: scores have more digits than the API's example.
DOCUMENT = {
    **SCORE,
    "score": 0.8312345678,
    "reasons": ["customer_ratio_30d", "terminal_risk_7d", "amount"],
}


@contextmanager
def seeded(client: redis.Redis) -> Iterator[list[str]]:
    """Provide scores to look up, and remove them afterwards."""
    ids = [f"bench-lookup-{number}" for number in range(KEYS)]
    pipeline = client.pipeline(transaction=False)
    for name in ids:
        data = orjson.dumps({**DOCUMENT, "transaction_id": name})
        pipeline.hset(keys.transaction(name), mapping={"v": "1:1", "d": data})
    pipeline.execute()
    try:
        yield ids
    finally:
        client.delete(*(keys.transaction(name) for name in ids))


@contextmanager
def server(command: list[str], environment: dict[str, str], url: str) -> Iterator[psutil.Process]:
    """Run a server process that answers at `url`."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            try:
                httpx.get(url, timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def measured(
    process: psutil.Process, port: int, ids: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """Run one round against one server."""
    host, order = settings().host, random.Random(1)
    requests = [
        get(host, f"/v1/fraud/transactions/{order.choice(ids)}", f"X-API-Key: {API_KEY}\r\n")
        for _ in range(4096)
    ]
    before, began = process.cpu_times(), time.perf_counter()
    outcome = run(
        (host, port),
        lambda number: requests[number % 4096],
        rate=options.rate,
        seconds=options.seconds,
    )
    after, wall = process.cpu_times(), time.perf_counter() - began
    cpu = (after.user + after.system) - (before.user + before.system)
    return {"outcome": outcome, "cpu": cpu, "wall": wall}


def summary(name: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Summarise all rounds of one server as a row."""
    whole = Outcome()
    for one in rounds:
        whole.add(one["outcome"])
    p50, p90, p99, p999 = whole.milliseconds(50, 90, 99, 99.9)
    answered = len(whole.latencies)
    return {
        "server": name,
        "requests": whole.requests,
        "failed": whole.failed(200),
        "p50_ms": round(p50, 3),
        "p90_ms": round(p90, 3),
        "p99_ms": round(p99, 3),
        "p99.9_ms": round(p999, 3),
        "cpu_us_per_request": round(sum(one["cpu"] for one in rounds) / max(1, answered) * 1e6, 1),
        "p99_ms_of_rounds": [round(one["outcome"].milliseconds(99)[0], 3) for one in rounds],
    }


def ratios(api: dict[str, Any], bare: dict[str, Any]) -> dict[str, float]:
    """Return the ratios of API over bare server."""
    pairs = zip(api["p99_ms_of_rounds"], bare["p99_ms_of_rounds"], strict=True)
    return {
        "p99_ratio": round(statistics.median(ours / theirs for ours, theirs in pairs), 2),
        "p99_ratio_of_all": round(api["p99_ms"] / bare["p99_ms"], 2),
        "cpu_ratio": round(api["cpu_us_per_request"] / bare["cpu_us_per_request"], 2),
    }


def compare(configured: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure both and return a row for the API and one for the bare server."""
    host = configured.host
    api_port, bare_port = configured.port("api") + SHIFT, configured.port("api") + SHIFT + 1
    api_environment = {
        "MILLRACE_API_KEYS": f"{API_KEY},another-key",
        "MILLRACE_API_BASE_PORT": str(configured.api_base_port + SHIFT),
    }
    bare = ["-m", "benchmarks.bare", host, str(bare_port), configured.redis_url]
    with (
        seeded(redis.Redis.from_url(configured.redis_url)) as ids,
        server(
            ["-m", "serving.api"], api_environment, f"http://{host}:{api_port}/healthz"
        ) as api_process,
        server(bare, {}, f"http://{host}:{bare_port}/") as bare_process,
    ):
        targets = {"api": (api_process, api_port), "bare": (bare_process, bare_port)}
        warm = argparse.Namespace(rate=options.rate, seconds=2)
        for process, port in targets.values():
            measured(process, port, ids, warm)
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in targets}
        for number, turn in itertools.product(range(options.rounds), (0, 1)):
            name = list(targets)[(number + turn) % 2]
            rounds[name].append(measured(*targets[name], ids, options))
    return [summary(name, rounds[name]) for name in targets]


def main() -> None:
    """Run, print and keep the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    rows = compare(settings(), options)
    over = ratios(*rows)
    show(
        f"look-up at {options.rate:g} requests/s",
        [
            {name: value for name, value in row.items() if not isinstance(value, list)}
            for row in rows
        ],
    )
    print(f"API over bare: p99 {over['p99_ratio']}, CPU {over['cpu_ratio']} (target 1.3; p99 5 ms)")
    print(keep("lookup", {"rate": options.rate, "servers": rows, **over}))


if __name__ == "__main__":
    main()
