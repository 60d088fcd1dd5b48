"""Run the local stack: `millrace up`, `down`, `restart`, `status`, `logs`, `doctor`, `reset`."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from config.errors import UserError
from config.products import with_groups
from config.settings import settings
from millrace.options import AsJson
from millrace.stack import lifecycle
from millrace.stack.doctor import examine
from millrace.stack.layout import Layout
from millrace.stack.processes import declared
from millrace.stack.status import status as read_status


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command, example in (
        (up, "up --only kafka,redis --with airflow"),
        (down, "down"),
        (restart, "restart consumer-fraud"),
        (status, "status --json"),
        (logs, "logs taskmanager -f"),
        (doctor, "doctor --json"),
        (reset, "reset --yes"),
    ):
        app.command(epilog=f"Example: millrace {example}")(command)


def up(
    only: Annotated[
        list[str] | None,
        typer.Option(help="only these processes or groups, with their dependencies"),
    ] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--with", help="groups to enable in addition")
    ] = None,
    timeout: Annotated[float, typer.Option(help="seconds until everything must be ready")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Start the stack and wait until it is ready; with --json, print what `status --json` does.

    --only and --with may be repeated, or hold several names separated by commas.
    """
    loaded = with_groups(settings(), _listed(beside))
    # Standard output is reserved for the result.
    names = _listed(only)
    say = partial(typer.echo, err=as_json)
    lifecycle.up(loaded, say, names, timeout)
    _say_waiting(say, names)
    if as_json:
        typer.echo(json.dumps(read_status(loaded), indent=2))


def _listed(given: list[str] | None) -> tuple[str, ...]:
    """Return the names of an option that may be repeated and may hold several, comma-separated."""
    names = (name.strip() for text in given or () for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def down(as_json: AsJson = False) -> None:
    """Stop the stack and keep its state; with --json, print what `status --json` does."""
    lifecycle.down(settings(), partial(typer.echo, err=as_json))
    if as_json:
        typer.echo(json.dumps(read_status(settings()), indent=2))


def restart(
    names: Annotated[list[str], typer.Argument(help="processes of the stack")],
    timeout: Annotated[float, typer.Option(help="seconds until they must be ready")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Stop processes and start them again, with the present code and settings.

    No record is lost. With --json, print what `status --json` does.
    """
    say = partial(typer.echo, err=as_json)
    lifecycle.restart(settings(), say, tuple(names), timeout)
    _say_waiting(say, tuple(names))
    if as_json:
        typer.echo(json.dumps(read_status(settings()), indent=2))


def _say_waiting(say: lifecycle.Say, names: tuple[str, ...]) -> None:
    for line in lifecycle.waiting(settings(), names):
        say(line)


def status(as_json: AsJson = False) -> None:
    """Show the state of the processes and jobs."""
    found = read_status(settings())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for one in found["processes"]:
        ports = " ".join(str(port) for port in one["ports"].values())
        mark = "ready" if one["ready"] else one["state"].lower()
        pid, uptime = one["pid"] or "-", f"{one['uptime_s']:.0f} s"
        typer.echo(
            f"{one['name']:18} {mark:9} {pid:>8} {uptime:>9}  {ports:24} {one['detail']}".rstrip()
        )
    for job in found["jobs"]:
        facts = (
            f"{job['tasks_running']}/{job['tasks']} tasks",
            f"{job['restarts']} restarts",
            f"{job['checkpoints']} checkpoints, {job['checkpoints_failed']} failed",
        )
        typer.echo(f"job {job['name']:16} {job['state']:10} {', '.join(facts)}")


def logs(
    name: Annotated[str, typer.Argument(help="a process of the stack")],
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="follow the log as it grows")
    ] = False,
    lines: Annotated[int, typer.Option("-n", help="lines from the end")] = 100,
) -> None:
    """Print a process's log."""
    known = (*declared(settings()), "supervisord")
    path = Layout.of(settings()).logs / f"{name}.log"
    if name not in known:
        raise UserError(f"no process named {name}; there are: {', '.join(known)}")
    if not path.exists():
        raise UserError(f"{name} has not written a log yet ({path})")
    # tail follows rotated files better than code of our own would.
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(path)])  # noqa: S606


def doctor(as_json: AsJson = False) -> None:
    """Diagnose faults and name the commands that mend them; exit with 1 if there are any."""
    found = examine(settings())
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in found], indent=2))
    else:
        for check in found:
            typer.echo(f"{'ok ' if check.ok else 'BAD'} {check.name:18} {check.detail}")
            if check.fix:
                typer.echo(f"{'':22} → {check.fix}")
    if not all(check.ok for check in found):
        raise typer.Exit(1)


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the stack and remove all of its state: topics, schemas, Flink's state, Redis, models."""
    folder = settings().state_dir
    say = partial(typer.echo, err=as_json)
    there = folder.exists()
    if there:
        if not yes:
            typer.confirm(f"Remove everything in {folder}?", abort=True, err=as_json)
        lifecycle.down(settings(), say)
        shutil.rmtree(folder)
    say(f"removed {folder}" if there else f"nothing to remove: {folder} does not exist")
    if as_json:
        typer.echo(json.dumps({"state_dir": str(folder), "removed": there}))
