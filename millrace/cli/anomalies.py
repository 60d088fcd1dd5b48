"""`millrace evaluate anomalies`: measure the detectors on public benchmarks."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.anomalies.evaluation import Method, NabFigures


class Format(StrEnum):
    """Benchmarks that can be read."""

    NAB = "nab"


def anomalies(
    *,
    data_format: Annotated[
        Format, typer.Option("--format", help="nab: Numenta's benchmark, one series a file")
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="the benchmark's folder, whole or a part of it; NAB's has data/ and labels/",
        ),
    ],
    results: Annotated[
        Path,
        typer.Option(
            help="NAB: where scores are left for its own scorer, DETECTOR/FOLDER/DETECTOR_FILE.csv",
            file_okay=False,
        ),
    ] = Path("results"),
    only: Annotated[
        list[str] | None, typer.Option(help="only this detector; give it several times")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the detectors of anomalies beside what they are compared with.

    One configuration and one threshold for all series, one reading after the other: a score is
    made before its reading is learnt and never changed. NAB's score is given with the threshold
    that is best on these series, as its protocol has it, and with the one fixed beforehand.
    """
    document, table = _nab(data, results, only)
    if as_json:
        typer.echo(json.dumps({"format": data_format.value, **document}, indent=2))
    else:
        Console().print(table)


def _chosen(known: dict[str, Method], only: list[str] | None) -> dict[str, Method]:
    if unknown := [name for name in only or () if name not in known]:
        raise UserError(f"no detector {unknown[0]!r}; there are: {', '.join(known)}")
    return {name: one for name, one in known.items() if not only or name in only}


def _nab(data: Path, results: Path, only: list[str] | None) -> tuple[dict[str, Any], Table]:
    from orchestration.anomalies.evaluation import methods, on_nab, readings
    from orchestration.anomalies.nab import read

    chosen = _chosen(methods(), only)
    series = read(data)
    with stages("evaluating") as stage:
        found = [
            on_nab(method, series, results=results, progress=stage(name, len(series)))
            for name, method in chosen.items()
        ]
    document = {
        "series": len(series),
        "readings": readings(series),
        "windows": sum(len(one.windows) for one in series),
        "results": str(results),
        "detectors": [one.document() for one in found],
    }
    return document, _nab_table(document, found)


def _nab_table(document: dict[str, Any], found: list[NabFigures]) -> Table:
    title = "NAB: {series} series, {readings:,} readings, {windows} windows".format(**document)
    table = Table(title=title, title_justify="left")
    table.add_column("detector", no_wrap=True)
    for name in ("best", "at", "hit", "false", "fixed", "at", "hit", "false", "us"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        totals = (one.optimised["standard"], one.fixed["standard"])
        table.add_row(
            one.detector,
            *(
                text
                for total in totals
                for text in (
                    f"{total.score:.1f}",
                    f"{total.threshold:.3f}",
                    str(total.windows_hit),
                    str(total.false_alarms),
                )
            ),
            f"{one.us_a_reading:.1f}",
        )
    return table
