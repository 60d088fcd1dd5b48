"""Measure what open tabs of the live page cost the API's process.

    python -m benchmarks.page [--tabs 20] [--seconds 15] [--turns 3] [--rate 200]

Needs the whole stack (`millrace up`) with a model. Payments flow at a rate, and the shop's clicks
where it runs, so that every frame has something new. In turns nobody looks and 20 tabs do; what the
tabs cost is the CPU time of the API's process with them less that without, as the median of the
turns. Target: a tenth of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from benchmarks.report import keep, show
from config.errors import UserError
from config.settings import Settings, settings
from millrace.demo.shop import shop
from millrace.demo.tally import Tally
from millrace.demo.traffic import Sender, Story, wait_until
from millrace.stack import environ
from millrace.stack.layout import Layout
from millrace.stack.supervisor import Supervisor

SETTLE_S = 3.0
"""After tabs open: each gets the whole first, which is not what an open tab costs."""
PAST_S = 120.0


@contextmanager
def flowing(configured: Settings, rate: float) -> Iterator[None]:
    """Let payments and clicks flow. Raise UserError if they do not begin."""
    sender = Sender(configured, Story(configured.state_dir / "demo.json"), rate)
    clicks = shop(configured)
    sender.start()
    try:
        if not wait_until(lambda: sender.loaded or sender.error is not None, PAST_S):
            raise UserError("the payments' past does not reach Kafka: `millrace doctor`")
        if sender.error is not None:
            raise sender.error
        sender.go(Tally(time.monotonic(), 0.0))
        if clicks is not None:
            clicks.start()
        yield
    finally:
        if clicks is not None:
            clicks.stop()
        sender.stop(10.0)


async def tab(client: httpx.AsyncClient, frames: list[int], place: int) -> None:
    """Read the page's stream until cancelled, and count its frames."""
    async with client.stream("GET", "/v1/page/stream") as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            frames[place] += line.startswith("event: ")


async def turn(url: str, key: str, pid: int, tabs: int, seconds: float) -> tuple[float, int, int]:
    """Return the cores that the API's process takes, the frames that came, and those missed.

    Frames that came are those of the tab that got most, missed ones those of all tabs.
    """
    process, frames = psutil.Process(pid), [0] * tabs
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url, headers={"X-API-Key": key}, timeout=30, limits=limits
    ) as client:
        reading = [asyncio.create_task(tab(client, frames, place)) for place in range(tabs)]
        await asyncio.sleep(SETTLE_S)
        before, seen, began = process.cpu_times(), list(frames), time.monotonic()
        await asyncio.sleep(seconds)
        after, passed = process.cpu_times(), time.monotonic() - began
        read = [now - then for now, then in zip(frames, seen, strict=True)]
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    spent = after.user + after.system - before.user - before.system
    most = max(read, default=0)
    # One more or less lies at the ends of the time.
    return spent / passed, most, sum(max(0, most - 1 - one) for one in read)


def main() -> None:
    """Measure in turns, print and keep the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200, help="payments a second")
    options = parser.parse_args()
    configured = settings()
    url = f"http://{configured.host}:{configured.port('api')}"
    key = environ.api_keys(configured).split(",")[0]
    pid = Supervisor(Layout.of(configured)).info()["api"].pid
    rows, missed = [], 0
    with flowing(configured, options.rate):
        for number in range(options.turns):
            row: dict[str, float] = {"turn": number + 1}
            for tabs in (0, 1, options.tabs):
                cores, came, lost = asyncio.run(turn(url, key, pid, tabs, options.seconds))
                row[f"cores_{tabs}_tabs"] = round(cores, 4)
                missed += lost
            row["frames_a_second"] = round(came / options.seconds, 2)
            row["tabs_cost"] = round(row[f"cores_{options.tabs}_tabs"] - row["cores_0_tabs"], 4)
            rows.append(row)
    show("Live page, cores of the API", rows)
    cores = round(statistics.median(row["tabs_cost"] for row in rows), 4)
    result = {"tabs": options.tabs, "rate": options.rate, "tabs_cost_cores": cores}
    print(keep("page", {**result, "frames_missed": missed, "turns": rows}))


if __name__ == "__main__":
    main()
