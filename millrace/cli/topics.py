"""Compare topics with config/topics.yaml, and read them: `millrace topics`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from config.topics import topics
from ingestion import schema
from ingestion.kafka.tail import END, Line, Start, Tail, Tally, reader
from ingestion.kafka.topics import Change, TopicsAdmin, admin
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.cli.quarantine import iso, text
from millrace.options import AsJson

app = typer.Typer(
    help="Topics, their schemas and compatibility: list, check, apply, tail.", no_args_is_help=True
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


@app.command(epilog="Example: millrace topics tail shop-events --from beginning --limit 5")
def tail(
    name: Annotated[str, typer.Argument(help="a topic of topics.yaml")],
    *,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            help="end (what comes from now on), beginning, an offset, or a time (ISO 8601, UTC)",
        ),
    ] = END,
    key: Annotated[str | None, typer.Option(help="only records with this key")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="stop after so many records")] = None,
    follow: Annotated[
        bool, typer.Option(help="wait for more; --no-follow stops where the topic ends now")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Print records as they come, decoded and checked against their contract.

    Ctrl-C ends it. How many there were goes to standard error. Exit code 1 if a record is not what
    its contract says.
    """
    if name not in topics():
        raise UserError(f"no topic is called {name!r}; there are: {', '.join(topics())}")
    current, tally = settings(), Tally()
    begin = Start.parse(start)
    consumer = reader(current.kafka_bootstrap)
    with Registry(current.registry_url) as registry:
        try:
            found = Tail(consumer, Codec(registry), name, begin).lines(follow=follow, key=key)
            for line in islice(found, limit):
                tally.add(line)
                typer.echo(as_object(name, line) if as_json else as_text(name, line))
        except KeyboardInterrupt:  # the usual way to end it
            typer.echo("", err=True)
        finally:
            consumer.close()
            typer.echo(told(tally, as_json=as_json), err=True)
    if tally.broken:
        raise typer.Exit(1)


def as_object(topic: str, line: Line) -> str:
    """Return a record as one line of JSON; bytes that are no text in hexadecimal."""
    body: dict[str, Any] = {
        "topic": topic,
        "partition": line.partition,
        "offset": line.offset,
        "time": line.time,
        "key": None if line.key is None else text(line.key),
    }
    if line.record is None:
        body |= {"reason": line.reason, "detail": line.detail}
    else:
        body |= {"schema_id": line.schema_id, "type": line.name, "record": line.record}
    return json.dumps(body, default=text, ensure_ascii=False)


def as_text(topic: str, line: Line) -> str:
    """Return a record as one line for a person, times in ISO 8601."""
    where = f"{topic}/{line.partition}/{line.offset}"
    name = "" if line.key is None else text(line.key)
    if line.record is None:
        return f"{where} {iso(line.time)} {name} UNREADABLE {line.reason}: {line.detail}"
    times = {
        one["name"]
        for one in schema.load(line.name)["fields"]
        if "timestamp-millis" in json.dumps(one["type"])
    }
    shown = {
        field: iso(value) if field in times and value is not None else value
        for field, value in line.record.items()
    }
    body = json.dumps(shown, default=text, ensure_ascii=False)
    return f"{where} {iso(line.time)} {name} {line.name} {body}"


def told(tally: Tally, *, as_json: bool) -> str:
    """Return how many records there were, and what was wrong with how many."""
    if as_json:
        counts = {"records": dict(tally.records), "broken": dict(tally.broken)}
        return json.dumps({"total": tally.total, **counts})
    kinds = ", ".join(f"{count:,} {name}" for name, count in tally.records.items())
    broken = ", ".join(f"{count:,} {reason}" for reason, count in tally.broken.items())
    right = f"{tally.total:,} records" + (f": {kinds}" if kinds else "")
    return right + (f"; not as their contract says: {broken}" if broken else "")


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
