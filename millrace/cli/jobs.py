"""`millrace jobs submit | stop | list`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from config.settings import settings
from millrace import jobs
from millrace.stack import cluster

app = typer.Typer(help="Flink jobs: submit, stop with a savepoint, list.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="processing/jobs/<name>.py")]


@app.command(epilog="Example: millrace jobs submit fraud_features --from-savepoint latest")
def submit(
    name: Name,
    from_savepoint: Annotated[str, typer.Option(help="a checkpoint's or savepoint's folder, or `latest`")] = "latest",
    fresh: Annotated[bool, typer.Option("--fresh", help="begin without state, whatever there is")] = False,
) -> None:
    """Submit a job; it resumes from its newest checkpoint or savepoint when it has one."""
    loaded = settings()
    jobs.check_name(name)
    with jobs.exclusive(loaded, name):
        resume = jobs.latest(loaded, name) if from_savepoint == "latest" else Path(from_savepoint).resolve()
        job_id = jobs.submit(loaded, name, None if fresh else resume)
    typer.echo(f"{name} {job_id}" + (f" resumed from {resume}" if resume and not fresh else " started fresh"))


@app.command(epilog="Example: millrace jobs stop fraud_features")
def stop(name: Name) -> None:
    """Stop a job with a savepoint; the stack leaves it stopped until it is submitted again."""
    jobs.check_name(name)
    typer.echo(str(jobs.stop(settings(), name)))


@app.command("list", epilog="Example: millrace jobs list --json")
def list_jobs(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """The newest job of each name."""
    found = cluster.listing(settings())
    if as_json:
        typer.echo(json.dumps([asdict(job) for job in found], indent=2))
        return
    for job in found:
        typer.echo(
            f"{job.name:20} {job.state:10} {job.tasks_running}/{job.tasks} tasks  {job.restarts} restarts  {job.id}"
        )
