"""`millrace evaluate`: measure a product on data of one's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from millrace.cli.anomalies import anomalies
from millrace.cli.demand import inventory
from millrace.cli.handbook import fraud
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.recommendations.evaluation import Figures

app = typer.Typer(help="Measure products on data of your own.", no_args_is_help=True)
app.command(epilog="Example: millrace evaluate anomalies --format nab --data NAB")(anomalies)
app.command(epilog="Example: millrace evaluate inventory --data online_retail.xlsx --json")(
    inventory
)
app.command(epilog="Example: millrace evaluate fraud --data payments.parquet --json")(fraud)


@app.command(
    epilog="Example: millrace evaluate recommendations --train sessions.txt.gz --split last:0.1"
)
def recommendations(
    *,
    train: Annotated[
        Path,
        typer.Option(
            help="sessions: SessionId, ItemId, Time by tabs, or one session a line; gzip or plain",
            exists=True,
            dir_okay=False,
        ),
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            help="sessions likewise, or lines of a prefix, a tab and the next item",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="instead of --test: last:0.1, or 0.8:0.9 for that part of --train"),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="each test session enters the index when it has ended")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="only this method; give it several times")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure next-item recommendations beside what they are compared with.

    HR@20 and MRR@20 over every prefix of the test sessions (or the questions given), coverage of
    the catalogue, and latency. Nothing of a question is known before it: the index holds --train,
    frozen, and with --online the test sessions that ended before.
    """
    from orchestration.recommendations.baselines import methods
    from orchestration.recommendations.evaluation import measure
    from orchestration.recommendations.sessions import read
    from orchestration.recommendations.sessions import split as divide

    if (test is None) == (split is None):
        raise UserError("say what to test on: either --test FILE or --split last:0.1")
    known = methods()
    if unknown := [name for name in only or () if name not in known]:
        raise UserError(f"no method {unknown[0]!r}; there are: {', '.join(known)}")
    learnt = read(train)
    if not learnt.sessions:
        raise UserError(f"{train} holds questions; --train needs sessions")
    if test is not None:
        asked = read(test)
    else:
        learnt, asked = divide(learnt, split or "")
    if not len(asked):
        raise UserError("nothing to ask: the test sessions have fewer than two items")
    with stages("evaluating") as stage:
        found = [
            measure(name, method, learnt, asked, online=online, progress=stage(name, len(asked)))
            for name, method in known.items()
            if not only or name in only
        ]
    if as_json:
        document = {
            "sessions": len(learnt.sessions),
            "questions": len(asked),
            "online": online,
            "methods": [asdict(one) for one in found],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(found, online=online)


def _show(found: Sequence[Figures], *, online: bool) -> None:
    table = Table(
        title=f"{found[0].questions:,} questions, {'online' if online else 'frozen'}",
        title_justify="left",
    )
    table.add_column("method", no_wrap=True)
    for name in ("HR@20", "MRR@20", "coverage", "p50 us", "p90 us", "p99 us"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            one.method,
            f"{one.hit_rate:.4f}",
            f"{one.reciprocal_rank:.4f}",
            f"{one.coverage:.3f}",
            *(f"{value:,.0f}" for value in (one.p50_us, one.p90_us, one.p99_us)),
        )
    Console().print(table)
