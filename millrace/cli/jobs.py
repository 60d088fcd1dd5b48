"""Submit, stop and list Flink jobs: `millrace jobs`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings, settings
from millrace.flink import jobs, submission
from millrace.flink import rest as cluster
from millrace.flink.submission import Wanted
from millrace.options import AsJson

app = typer.Typer(help="Flink jobs: submit, stop with a savepoint, list.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="a job that a product declares")]


@app.command(epilog="Example: millrace jobs submit fraud_features --from-savepoint latest")
def submit(
    name: Name,
    from_savepoint: Annotated[
        str, typer.Option(help="a checkpoint's or savepoint's folder, or `latest`")
    ] = "latest",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="begin without state, whatever there is")
    ] = False,
    drops_state: Annotated[
        bool,
        typer.Option("--drop-state", help="leave behind the state of what the job no longer has"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a job; it resumes from its newest checkpoint or savepoint when it has one."""
    loaded = settings()
    jobs.declared(loaded, name)
    with jobs.exclusive(loaded, name):
        wanted = Wanted(name) if fresh else _from(loaded, name, from_savepoint)
        resume, drops = wanted.resume, wanted.drops_state or drops_state
        job_id = submission.submit(loaded, Wanted(name, resume, drops))
    if as_json:
        typer.echo(
            json.dumps(
                {"name": name, "id": job_id, "resumed_from": str(resume) if resume else None}
            )
        )
    else:
        typer.echo(f"{name} {job_id}" + (f" resumed from {resume}" if resume else " started fresh"))


def _from(loaded: Settings, name: str, wanted: str) -> Wanted:
    if wanted == "latest":
        return submission.again(loaded, name)
    return Wanted(name, Path(wanted).resolve())


@app.command(epilog="Example: millrace jobs stop fraud_features")
def stop(name: Name, as_json: AsJson = False) -> None:
    """Stop a job with a savepoint; the stack leaves it stopped until it is submitted again."""
    jobs.declared(settings(), name)
    savepoint = str(jobs.stop(settings(), name))
    typer.echo(json.dumps({"name": name, "savepoint": savepoint}) if as_json else savepoint)


@app.command("list", epilog="Example: millrace jobs list --json")
def list_jobs(as_json: AsJson = False) -> None:
    """List the newest job of each name."""
    found = cluster.listing(settings())
    if as_json:
        typer.echo(json.dumps([asdict(job) for job in found], indent=2))
        return
    for job in found:
        typer.echo(
            f"{job.name:20} {job.state:10} {job.tasks_running}/{job.tasks} tasks  "
            f"{job.restarts} restarts  {job.id}"
        )
