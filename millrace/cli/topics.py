"""Compare the cluster and the registry with config/topics.yaml: `millrace topics`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.table import Table

from config.settings import settings
from config.topics import topics
from ingestion.kafka.topics import Change, TopicsAdmin, admin
from ingestion.wire.registry import Registry
from millrace.options import AsJson

app = typer.Typer(
    help="Topics, their schemas and compatibility: list, check, apply.", no_args_is_help=True
)


@contextmanager
def _admin() -> Iterator[TopicsAdmin]:
    current = settings()
    with Registry(current.registry_url) as registry:
        yield TopicsAdmin(admin(current.kafka_bootstrap), registry)


def _show(changes: list[Change], as_json: bool, done: str, none: str) -> None:
    if as_json:
        typer.echo(json.dumps([change.as_dict() for change in changes]))
        return
    for change in changes:
        before = f"{change.before} -> " if change.before else ""
        typer.echo(f"{done} {change.topic}: {change.what} {before}{change.after}")
    if not changes:
        typer.echo(none)


@app.command(epilog="Example: millrace topics apply --json")
def apply(as_json: AsJson = False) -> None:
    """Create and extend topics, set retention, register schemas, set FULL_TRANSITIVE.

    A second run changes nothing.
    """
    with _admin() as topics_admin:
        _show(topics_admin.apply(topics()), as_json, "changed", "nothing to change")


@app.command(epilog="Example: millrace topics check")
def check(as_json: AsJson = False) -> None:
    """Show what `apply` would change; exit with code 1 if anything."""
    with _admin() as topics_admin:
        changes = topics_admin.differences(topics())
    _show(changes, as_json, "differs", "as declared")
    if changes:
        raise typer.Exit(1)


@app.command(name="list", epilog="Example: millrace topics list --json")
def list_topics(as_json: AsJson = False) -> None:
    """List the declared topics with what the cluster has of them."""
    with _admin() as topics_admin:
        found = topics_admin.found(topics().values())
    rows = [
        {
            "name": topic.name,
            "key": topic.key,
            "schema": ", ".join(topic.records),
            "partitions": topic.partitions,
            "retention_hours": topic.retention_hours,
            "exists": topic.name in found,
        }
        for topic in topics().values()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("topic", "key", "schema", "partitions", "retention h", "exists")
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    Console().print(table)
