"""Produce records that a person typed or a program wrote: `millrace produce`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from config.errors import UserError
from config.topics import Topic, topics
from domain.times import moment, nearest
from ingestion import schema as contracts
from ingestion.wire.encode import RefusedError
from millrace import streaming
from millrace.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: millrace produce shop-events --file events.jsonl --json")(produce)


def produce(
    topic: Annotated[str, typer.Argument(help="a topic of topics.yaml")],
    file: Annotated[
        Path | None, typer.Option(help="one JSON object a line; standard input without")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Produce records to a topic: a JSON object a line, times in ms or as ISO 8601."""
    if topic not in topics():
        raise UserError(f"no topic named {topic}; there are: {', '.join(topics())}")
    declared = topics()[topic]
    lines = sys.stdin if file is None else file.read_text(encoding="utf-8").splitlines()
    sent = 0
    with streaming.kafka("millrace-produce", paced=True) as (sink, codec):
        for number, record in enumerate(records(declared, lines), 1):
            try:
                value = codec.encode(topic, record)
            except RefusedError as error:
                raise UserError(f"line {number}: {error}") from None
            sink.send(topic, str(record[declared.key]), value)
            sent += 1
    typer.echo(json.dumps({"topic": topic, "produced": sent}) if as_json else f"{topic}: {sent}")


def records(topic: Topic, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the records in lines of JSON, times in ms. Raise UserError naming a bad line."""
    times = {
        field["name"]
        for field in contracts.load(topic.schema)["fields"]
        if "timestamp-millis" in json.dumps(field["type"])
    }
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            for name in times & record.keys():
                if isinstance(record[name], str):
                    record[name] = _milliseconds(record[name])
        except (ValueError, AttributeError) as error:
            raise UserError(f"line {number}: {error}") from None
        if topic.key not in record:
            raise UserError(f"line {number}: no {topic.key}, which is the key of {topic.name}")
        yield record


def _milliseconds(text: str) -> int:
    return nearest(moment(text))
