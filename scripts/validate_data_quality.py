"""Check a data set before it is loaded: schema, ranges, duplicates, gaps, time order.

python scripts/validate_data_quality.py events.csv [--json] [--strict]

The format is recognised by the column names; --profile names it. Exit code: 0 when every row can
be used, 1 when rows cannot (with --strict also when there is something to note), 2 when the file
cannot be read.
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
from ingestion.quality.checks import Quality, check  # noqa: E402
from ingestion.quality.data import read  # noqa: E402
from ingestion.quality.profiles import PROFILES, profile_of  # noqa: E402
from millrace.streaming import duration_ms  # noqa: E402

STYLES = {"ok": "green", "note": "yellow", "error": "red"}


def show(quality: Quality, console: Console) -> None:
    """Print the report for a person."""
    rows = f"{quality.rows:,} rows of {quality.profile}"
    console.print(f"{quality.file}: {rows}", soft_wrap=True)
    for name, value in quality.facts.items():
        console.print(f"  {name}: {value:,}" if isinstance(value, int) else f"  {name}: {value}")
    table = Table("check", "of", "", "rows", "share", "detail")
    for one in quality.findings:
        share = f"{one.rows / quality.rows:.2%}" if quality.rows and one.rows else ""
        level = f"[{STYLES[one.level]}]{one.level}[/]"
        table.add_row(one.check, one.what, level, f"{one.rows:,}", share, one.detail)
    console.print(table)
    console.print(f"{quality.errors} errors, {quality.notes} notes")


def main(line: list[str] | None = None) -> int:
    """Check the file of the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="a CSV or parquet file")
    parser.add_argument("--profile", help=", ".join(one.name for one in PROFILES))
    parser.add_argument("--gap", default="6h", help="tell longer ones (6h if not given)")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for notes, too")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    given = parser.parse_args(line)
    try:
        profile = profile_of(given.path, given.profile)
        gap = duration_ms(given.gap)
        with Console(stderr=True, quiet=given.json).status(f"reading {given.path}"):
            quality = check(read(given.path), profile, gap)
    except UserError as error:
        sys.stderr.write(f"validate_data_quality: {error}\n")
        return 2
    if given.json:
        sys.stdout.write(json.dumps(quality.as_dict()) + "\n")
    else:
        show(quality, Console())
    return 1 if quality.errors or (given.strict and quality.notes) else 0


if __name__ == "__main__":
    sys.exit(main())
