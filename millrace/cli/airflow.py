"""Call Airflow's own commands on the stack's Airflow: `millrace airflow …`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from config.errors import UserError
from config.settings import settings
from millrace.stack.layout import Layout
from millrace.stack.parts import airflow as part


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Example: millrace airflow dags trigger retrain_fraud",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        add_help_option=False,
    )(airflow)


def airflow(
    context: typer.Context,
    password: Annotated[
        bool, typer.Option("--password", help="print the page's URL, user and password instead")
    ] = False,
) -> None:
    """Run `airflow ARGUMENTS…` with the environment of the stack's Airflow."""
    loaded = settings()
    if password:
        typer.echo(f"{part.url(loaded)} {part.USER} {part.password(loaded)}")
        return
    line = part.command(loaded, *context.args)
    if not Layout.of(loaded).airflow_python.exists():
        raise UserError("Airflow is not installed: type `millrace up --with airflow`")
    part.prepare(loaded)
    own = {**os.environ, **part.environment(loaded), **part.secrets(loaded)}
    os.execve(line[0], line, own)  # noqa: S606
