"""Every benchmark in one run, on a stack of its own: one table, one JSON.

    python -m benchmarks.run [--quick] [--only rolling,scaling,…]

The stack lies in `.millrace-bench`, ports 9000 above the usual ones, unless MILLRACE_BENCH_STATE_DIR or
MILLRACE_BENCH_PORT_OFFSET say otherwise; it begins empty and is removed afterwards (`--keep` leaves it up). Other
variables MILLRACE_… are the caller's own stack's and are left aside, so that neither that stack is touched nor the
figures are. Each benchmark is its own process: one that fails is reported and the others go on; the exit code says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, keep, show
from config.settings import PREFIX

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
MILLRACE = ROOT / ".venv" / "bin" / "millrace"
CLUSTER = "kafka,registry,jobmanager,taskmanager"
KEPT = {"MILLRACE_BUILD_DIR"}  # where the jars are, whosever stack they run


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark: its module, arguments, what they become in a quick run, and the parts of the stack it needs."""

    name: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--quick",)
    only: str = CLUSTER


PARTS = (
    Part("rolling"),
    Part("scaling", ("--without-bloom",)),
    Part("producers", only="kafka,registry"),
    Part("lookup", quick=("--rounds", "1"), only="kafka,registry,redis"),
    Part("latency", only=""),
    Part("post", quick=("--seconds", "5"), only=""),
)


def environment(caller: Mapping[str, str]) -> dict[str, str]:
    """What this run's stack is started with: never the caller's stack, which `reset` would remove."""
    kept = {name: value for name, value in caller.items() if not name.startswith(PREFIX) or name in KEPT}
    return {
        **kept,
        f"{PREFIX}STATE_DIR": caller.get(f"{PREFIX}BENCH_STATE_DIR") or ".millrace-bench",
        f"{PREFIX}PORT_OFFSET": caller.get(f"{PREFIX}BENCH_PORT_OFFSET") or "9000",
    }


def peers(environ: dict[str, str]) -> None:
    """Make the peers' environment agree with the lock, by the uv that set-up installed, else the one on the path."""
    own = ROOT / ".build" / "tools" / "bin" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    if uv is None:
        sys.exit("no uv: type `make setup`")
    line = [uv, "sync", "--frozen", "--quiet", "--no-default-groups", "--group", "peers"]
    own_environment = {"UV_PROJECT_ENVIRONMENT": ".venv-peers", "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run(line, cwd=ROOT, env={**environ, **own_environment}, check=True)


def measure(part: Part, quick: bool, environ: dict[str, str]) -> None:
    """Bring up what the part needs and run it. Raises CalledProcessError if either fails."""
    up = [str(MILLRACE), "up", *(["--only", part.only] if part.only else [])]
    if not part.only:
        model(environ)
    subprocess.run(up, cwd=ROOT, env=environ, check=True)
    line = [str(PYTHON), "-m", f"benchmarks.{part.name}", *part.arguments, *(part.quick if quick else ())]
    print(f"\n== {part.name}", flush=True)
    subprocess.run(line, cwd=ROOT, env=environ, check=True)


def model(environ: dict[str, str]) -> None:
    """A model to score with, if there is none yet."""
    state = ROOT / environ["MILLRACE_STATE_DIR"]
    if not (state / "models" / "fraud" / "current").exists():
        subprocess.run([str(MILLRACE), "train", "fraud", "--simulate"], cwd=ROOT, env=environ, check=True)


def figures(chosen: set[str], quick: bool) -> list[dict[str, Any]]:
    """What the issue asks for, beside what was measured; parts that did not run are left out."""
    found = {part.name: _result(part.name, quick) if part.name in chosen else {} for part in PARTS}
    rolling, scaling, producers, lookup, latency, post = (found[part.name] for part in PARTS)
    rows: list[dict[str, Any]] = []

    def row(what: str, measured: Any, target: str, met: bool) -> None:
        rows.append({"what": what, "measured": measured, "target": target, "met": met})

    if rolling:
        speed, times = rolling["events_per_cpu_second"], rolling["times_the_better_peer"]
        row("rolling, events per CPU-second", speed, "60,000", speed >= 60_000)
        row("rolling, times the better peer", times, "5", times >= 5)
    if scaling:
        ratio = scaling["largest_over_smallest"]
        row("throughput, most keys over fewest", ratio, "0.5", ratio >= 0.5)
    if latency and "fraud" in latency:
        hop = latency["fraud"]["hops"][0]
        row("event to Redis, p50 ms", hop["p50_ms"], "10", hop["p50_ms"] <= 10)
        row("event to Redis, p99 ms", hop["p99_ms"], "30", hop["p99_ms"] <= 30)
    if lookup:
        api = lookup["servers"][0]
        row("look-up, p99 ms", api["p99_ms"], "5", api["p99_ms"] <= 5)
        row("look-up, p99 over a bare server's", lookup["p99_ratio"], "1.3", lookup["p99_ratio"] <= 1.3)
    if post:
        row("POST, p99 ms", post["p99_ms"], "60", post["p99_ms"] <= 60)
    if producers:
        rate = producers["events_per_second"]
        row("producers, events/s", rate, "150,000", rate >= 150_000)
    return rows


def _result(name: str, quick: bool) -> dict[str, Any]:
    path = RESULTS / f"{name}{'-quick' if quick else ''}.json"
    if not path.exists() or path.stat().st_mtime < STARTED:
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


STARTED = time.time()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast")
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--keep", action="store_true", help="leave the stack up")
    options = parser.parse_args()
    chosen = [part for part in PARTS if not options.only or part.name in options.only.split(",")]
    environ = {**environment(os.environ), "MILLRACE_BENCH_SUFFIX": "-quick" if options.quick else ""}
    peers(environ)
    failed: list[str] = []
    subprocess.run([str(MILLRACE), "reset", "--yes"], cwd=ROOT, env=environ, check=True)
    try:
        for part in chosen:
            try:
                measure(part, options.quick, environ)
            except subprocess.CalledProcessError as error:
                print(f"{part.name}: {error}", file=sys.stderr, flush=True)
                failed.append(part.name)
    finally:
        if not options.keep:
            subprocess.run([str(MILLRACE), "reset", "--yes"], cwd=ROOT, env=environ, check=False)
    rows = figures({part.name for part in chosen}, options.quick)
    if rows:
        show("figures of a quick run: they say that it works, not how fast" if options.quick else "figures", rows)
        print(keep("figures-quick" if options.quick else "figures", {"figures": rows, "failed": failed}))
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
