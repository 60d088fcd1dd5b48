"""Replay the files of a folder as they come: `millrace replay sensors FOLDER --follow`."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import typer

from config.errors import UserError
from config.settings import settings
from ingestion.kafka.producer import Sink
from ingestion.replay.pacing import pacer
from ingestion.replay.run import Summary, run
from ingestion.sensors.files import TOPIC, ReadingsFile
from ingestion.sensors.folder import Folder, Position
from ingestion.wire.encode import RecordEncoder
from millrace import streaming

log = structlog.get_logger(__name__)
LOOK_S = 1.0


def follow(path: Path, speed: str, *, as_json: bool) -> None:
    """Send what comes into the folder until stopped; say what was sent of each file."""
    folder = Folder(path)
    pacer(speed)  # a wrong one is told at once, not at the first file
    with streaming.kafka("millrace-replay", paced=True) as (sink, codec):
        encoder = codec.encoder(TOPIC)
        typer.echo(f"watching {path}; Ctrl-C stops", err=True)
        try:
            while True:
                once(folder, sink, encoder, speed, lambda file, sent: _tell(file, sent, as_json))
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on from here", err=True)
            raise typer.Exit(streaming.INTERRUPTED) from None


def once(
    folder: Folder,
    sink: Sink,
    encoder: RecordEncoder,
    speed: str,
    tell: Callable[[Path, Summary], None],
) -> None:
    """Send the files at rest that have something new, each from where it was left."""
    for file in folder.look():
        try:
            source, position = ReadingsFile(file), Position(settings().state_dir, file)
            before = position.load().rows
            batches = source.batches(encoder, skip=before)
            summary = run(batches, sink, pacer(speed), position, lambda rows, rejected: None)
        except (UserError, OSError, csv.Error, UnicodeError) as error:
            log.warning("not read", file=str(file), error=str(error))
            continue
        if summary.rows > before:
            tell(file, summary)


def _tell(file: Path, sent: Summary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"file": str(file), **sent.as_dict()}))
        return
    wrong = f", {sent.rejected:,} rejected: {sent.rejected_file}" if sent.rejected else ""
    typer.echo(f"{file.name}: {sum(sent.produced.values()):,} readings{wrong}")
