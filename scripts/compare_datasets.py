"""Compare two data sets side by side: distributions, and how far the second drifted.

python scripts/compare_datasets.py first.csv second.csv [--threshold 0.25] [--json]
python scripts/compare_datasets.py --published events.csv

With --published, one events.csv stands beside what is published of Retail Rocket's. Exit code: 0
when no column's PSI reaches the threshold, 1 when one does, 2 when a file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.errors import UserError  # noqa: E402
from ingestion.quality.compare import Difference, compare  # noqa: E402
from ingestion.quality.data import read  # noqa: E402
from ingestion.quality.profiles import PROFILES, profile_of  # noqa: E402
from ingestion.quality.published import Likeness, likeness, markdown  # noqa: E402

DRIFT = 0.25


def show(found: list[Difference], names: tuple[str, str], threshold: float, to: Console) -> None:
    """Print the differences for a person."""
    for one in found:
        drifted = one.psi >= threshold
        style = "red" if drifted else "green"
        distances = f"PSI {one.psi:.3f}, Jensen-Shannon {one.jensen_shannon:.3f}"
        distances += "" if one.ks is None else f", KS {one.ks:.3f}"
        title = f"{one.column} ({one.of}): [{style}]{distances}[/]"
        table = Table("", *names, title=title, title_justify="left")
        for fact in [*one.first, *(name for name in one.second if name not in one.first)]:
            cells = (
                f"{side[fact]:,.4g}" if fact in side else "" for side in (one.first, one.second)
            )
            table.add_row(fact, *cells)
        if one.shared is not None:
            table.add_row("rows of ids that are in the first", "", f"{one.shared:.1%}")
        to.print(table)
    worst = [one.column for one in found if one.psi >= threshold]
    to.print(f"drift in {', '.join(worst)}" if worst else f"no drift (PSI below {threshold:g})")


def main(line: list[str] | None = None) -> int:
    """Compare the files of the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path, nargs="?")
    parser.add_argument("--published", action="store_true", help="beside what is published")
    parser.add_argument("--profile", help=", ".join(one.name for one in PROFILES))
    parser.add_argument("--threshold", type=float, default=DRIFT, help="PSI that is a drift")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    given = parser.parse_args(line)
    if given.published == (given.second is not None):
        parser.error("give two files, or one and --published")
    try:
        with Console(stderr=True, quiet=given.json).status("reading"):
            if given.published:
                return _published(likeness(given.first), as_json=given.json)
            profile = profile_of(given.first, given.profile)
            found = compare(read(given.first), read(given.second), profile)
    except UserError as error:
        sys.stderr.write(f"compare_datasets: {error}\n")
        return 2
    drift = any(one.psi >= given.threshold for one in found)
    if given.json:
        columns = [one.as_dict() for one in found]
        sys.stdout.write(json.dumps({"drift": drift, "columns": columns}) + "\n")
    else:
        show(found, (given.first.name, given.second.name), given.threshold, Console())
    return int(drift)


def _published(found: list[Likeness], *, as_json: bool) -> int:
    text = json.dumps([one.as_dict() for one in found]) if as_json else markdown(found)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
