"""Every benchmark in one run, on a stack of its own: one table, one JSON.

    python -m benchmarks.run [--quick] [--only rolling,scaling,…]

The stack lies in `.millrace-bench`, ports 9000 above the usual ones, unless
MILLRACE_BENCH_STATE_DIR or MILLRACE_BENCH_PORT_OFFSET say otherwise; it begins empty and is removed
afterwards (`--keep` leaves it up). Other variables MILLRACE_… are the caller's own stack's and are
left aside, so that neither that stack is touched nor the figures are. Each benchmark is its own
process: one that fails is reported and the others go on.

Exit code: 1 when a benchmark failed or a figure was missed, else 0. What a figure must be is in
`benchmarks.figures`; none is met when something failed in the run that measured it. A quick run
shows its figures but judges none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Result, Row, figures
from benchmarks.report import RESULTS, keep, show
from config.settings import PREFIX

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
MILLRACE = ROOT / ".venv" / "bin" / "millrace"
CLUSTER = "kafka,registry,jobmanager,taskmanager"
KEPT = {"MILLRACE_BUILD_DIR"}  # where the jars are, whosever stack they run


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark: its module, arguments, and the parts of the stack it needs.

    `only`: the processes it needs, "" for all, None for no stack; `groups`: which run, "" for the
    usual ones. `keeps` names its result where that is not named like the module.
    """

    name: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--quick",)
    only: str | None = CLUSTER
    keeps: str = ""
    groups: str = ""


PARTS = (
    Part("rolling"),
    Part("profile", ("--rolling",), keeps="profile-rolling"),
    Part("scaling", ("--without-bloom",)),
    Part("shop_jobs"),
    Part("producers", only="kafka,registry"),
    Part("replay", only="kafka,registry,topics"),
    Part("lookup", quick=("--rounds", "1"), only="kafka,registry,redis"),
    Part("latency", only=""),
    Part("post", quick=("--seconds", "5"), only=""),
    Part("swap", only=""),
    Part("page", quick=("--seconds", "5", "--turns", "1"), only=""),
    Part(
        "recommend",
        quick=("--seconds", "5", "--sessions", "20000"),
        only="shop",
        groups="core,shop",
    ),
    Part("shop_replay", only="shop", groups="core,shop"),
    Part("stock_latency", only="", groups="core,inventory"),
    Part("training", only=None),
    Part("lake_sql", quick=("--rows", "200000", "--files", "150", "--rounds", "1"), only=None),
    # Last: the group's jars make Flink start again.
    Part("lake_cost", only="", groups="core,fraud,lake"),
    Part("lake", only="lake"),
)


def environment(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of this run's stack.

    It never names the caller's stack, which `reset` would remove.
    """
    kept = {
        name: value for name, value in caller.items() if not name.startswith(PREFIX) or name in KEPT
    }
    return {
        **kept,
        f"{PREFIX}STATE_DIR": caller.get(f"{PREFIX}BENCH_STATE_DIR") or ".millrace-bench",
        f"{PREFIX}PORT_OFFSET": caller.get(f"{PREFIX}BENCH_PORT_OFFSET") or "9000",
    }


def peers(environ: dict[str, str]) -> None:
    """Sync the peers' environment with its lock, preferring the uv that set-up installed."""
    own = ROOT / ".build" / "tools" / "bin" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    if uv is None:
        sys.exit("no uv: type `make setup`")
    line = [uv, "sync", "--frozen", "--quiet", "--no-default-groups", "--group", "peers"]
    own_environment = {"UV_PROJECT_ENVIRONMENT": ".venv-peers", "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run(line, cwd=ROOT, env={**environ, **own_environment}, check=True)


def measure(part: Part, quick: bool, environ: dict[str, str]) -> Result:
    """Bring up what the part needs, run it and return its result.

    Raise CalledProcessError if either fails, RuntimeError if that left no new result.
    """
    if part.groups:
        environ = {**environ, f"{PREFIX}GROUPS": part.groups}
    if part.only == "":
        model(environ)
    if part.only is not None:
        up = [str(MILLRACE), "up", *(["--only", part.only] if part.only else [])]
        subprocess.run(up, cwd=ROOT, env=environ, check=True)
    line = [
        str(PYTHON),
        "-m",
        f"benchmarks.{part.name}",
        *part.arguments,
        *(part.quick if quick else ()),
    ]
    print(f"\n== {part.name}", flush=True)
    path = RESULTS / f"{part.keeps or part.name}{'-quick' if quick else ''}.json"
    before = _modified(path)
    subprocess.run(line, cwd=ROOT, env=environ, check=True)
    if _modified(path) == before:
        raise RuntimeError(f"no new {path.name}")
    found: Result = json.loads(path.read_text())
    return found


def _modified(path: Path) -> int:
    """Return a file's modification time in ns, or 0 if it does not exist."""
    return path.stat().st_mtime_ns if path.exists() else 0


def measure_all(
    parts: Sequence[Part], quick: bool, environ: dict[str, str]
) -> tuple[dict[str, Result], list[str]]:
    """Return the results by name, and the names of the parts that failed."""
    results: dict[str, Result] = {}
    for part in parts:
        try:
            results[part.name] = measure(part, quick, environ)
        except (subprocess.CalledProcessError, RuntimeError) as error:
            print(f"{part.name}: {error}", file=sys.stderr, flush=True)
    return results, [part.name for part in parts if part.name not in results]


def model(environ: dict[str, str]) -> None:
    """Train a model to score with unless there is one."""
    state = ROOT / environ["MILLRACE_STATE_DIR"]
    if not (state / "models" / "fraud" / "current").exists():
        subprocess.run(
            [str(MILLRACE), "train", "fraud", "--simulate", "--promote"],
            cwd=ROOT,
            env=environ,
            check=True,
        )


def exit_code(rows: Sequence[Row], failed: Sequence[str], quick: bool) -> int:
    """Return 1 if a benchmark failed or, unless the run is quick, a figure was missed."""
    missed = [] if quick else [row["what"] for row in rows if not row["met"]]
    for line in (*(f"{name} failed" for name in failed), *(f"missed: {what}" for what in missed)):
        print(line, file=sys.stderr)
    return 1 if failed or missed else 0


def select(names: str) -> list[Part]:
    """Return the parts of comma-separated names, in the order they run.

    Raise ArgumentTypeError for an unknown name.
    """
    asked, known = set(names.split(",")), [part.name for part in PARTS]
    if unknown := asked.difference(known):
        raise argparse.ArgumentTypeError(
            f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(known)}"
        )
    return [part for part in PARTS if part.name in asked]


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it works, not how fast"
    )
    parser.add_argument(
        "--only", default=[*PARTS], type=select, metavar="NAMES", help="comma-separated"
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack up")
    options = parser.parse_args()
    environ = {
        **environment(os.environ),
        "MILLRACE_BENCH_SUFFIX": "-quick" if options.quick else "",
    }
    peers(environ)
    subprocess.run([str(MILLRACE), "reset", "--yes"], cwd=ROOT, env=environ, check=True)
    try:
        results, failed = measure_all(options.only, options.quick, environ)
    finally:
        if not options.keep:
            subprocess.run([str(MILLRACE), "reset", "--yes"], cwd=ROOT, env=environ, check=False)
    rows = figures(results)
    if rows:
        show(
            "figures of a quick run: they say that it works, not how fast"
            if options.quick
            else "figures",
            rows,
        )
        print(
            keep(
                "figures-quick" if options.quick else "figures", {"figures": rows, "failed": failed}
            )
        )
    return exit_code(rows, failed, options.quick)


if __name__ == "__main__":
    sys.exit(main())
