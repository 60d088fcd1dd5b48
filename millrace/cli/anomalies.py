"""`millrace evaluate anomalies`: measure the detectors on public benchmarks."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.anomalies.evaluation import NabFigures, SkabFigures

T = TypeVar("T")


class Format(StrEnum):
    """Benchmarks that can be read."""

    NAB = "nab"
    SKAB = "skab"


def anomalies(
    *,
    data_format: Annotated[
        Format,
        typer.Option("--format", help="nab: single series, from Numenta; skab: several channels"),
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
        list[str] | None,
        typer.Option("--detector", "--only", help="only this detector; give it several times"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the detectors of anomalies beside what they are compared with.

    One configuration and one threshold for all series, one reading after the other: a score is
    made before its reading is learnt and never changed. NAB's score is given with the threshold
    that is best on these series, as its protocol has it, and with the one fixed beforehand. SKAB's
    detectors learn from the first 400 rows of a file and are judged by the others.
    """
    if data_format is Format.NAB:
        document, table = _nab(data, results, only)
    else:
        document, table = _skab(data, only)
    if as_json:
        typer.echo(json.dumps({"format": data_format.value, **document}, indent=2))
    else:
        Console().print(table)


def _chosen(known: dict[str, T], only: list[str] | None) -> dict[str, T]:
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


def _skab(data: Path, only: list[str] | None) -> tuple[dict[str, Any], Table]:
    from orchestration.anomalies.evaluation import many_methods, on_skab
    from orchestration.anomalies.skab import TRAINING, read

    chosen = _chosen(many_methods(), only)
    recordings = read(data)
    with stages("evaluating") as stage:
        found = [
            on_skab(method, recordings, progress=stage(name, len(recordings)))
            for name, method in chosen.items()
        ]
    document = {
        "files": len(recordings),
        "rows": sum(len(one.rows) for one in recordings),
        "training_rows_a_file": TRAINING,
        "detectors": [one.document() for one in found],
    }
    return document, _skab_table(document, found)


def _skab_table(document: dict[str, Any], found: list[SkabFigures]) -> Table:
    title = "SKAB: {files} files, {rows:,} rows".format(**document)
    table = Table(title=title, title_justify="left")
    table.add_column("detector", no_wrap=True)
    for name in ("F1", "false %", "missed %", "us a row"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            one.detector,
            f"{one.total.f1:.3f}",
            f"{one.total.false_alarm_rate:.1f}",
            f"{one.total.missed_alarm_rate:.1f}",
            f"{one.us_a_row:.1f}",
        )
    return table
