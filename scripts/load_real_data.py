"""Load a public data set into the running stack: a thin wrapper of `millrace replay`.

python scripts/load_real_data.py --source retail_rocket --csv events.csv --events 100000 --speed x10

Sources: retail_rocket and online_retail (a file), instacart and olist (a folder), fraud_handbook.
Further options go to `millrace replay SOURCE`, which lists them (--help).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    "retail_rocket": "retail-rocket",
    "online_retail": "online-retail",
    "instacart": "instacart",
    "olist": "olist",
    "fraud_handbook": "transactions",
}


def command(line: Sequence[str]) -> list[str]:
    """Return the arguments of `millrace` that the arguments of this script stand for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, choices=SOURCES)
    parser.add_argument("--csv", required=True, metavar="PATH", help="the file, or the folder")
    parser.add_argument("--events", type=int, metavar="N", help="only the first N rows")
    parser.add_argument("--speed", default="max", help="max, or x1, x10 …")
    given, further = parser.parse_known_args(line)
    events = [] if given.events is None else ["--events", str(given.events)]
    options = ["--speed", given.speed, *events, *further]
    return ["replay", SOURCES[given.source], given.csv, *options]


def main() -> int:
    """Run `millrace replay` and return its exit code."""
    line = [sys.executable, "-m", "millrace.cli.main", *command(sys.argv[1:])]
    with subprocess.Popen(line, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal interrupts both: let the replay end in order
                continue


if __name__ == "__main__":
    sys.exit(main())
