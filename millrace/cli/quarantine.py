"""Show what could not be read, and why, and send it again: `millrace quarantine`."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.clock import now_ms
from config.errors import UserError
from config.settings import settings
from ingestion.kafka import quarantine, quarantine_replay
from ingestion.kafka.quarantine import Entry, Position, Quarantine
from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.registry import Registry
from millrace import streaming
from millrace.options import AsJson

app = typer.Typer(help="Records that could not be read: list, show, replay.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="only this reason, e.g. unknown_schema")]
Topic = Annotated[str, typer.Option(help="only this source topic")]
WIDTH = 16


@contextmanager
def _codec() -> Iterator[Codec]:
    with Registry(settings().registry_url) as registry:
        yield Codec(registry)


def _read(codec: Codec, *, quiet: bool) -> Quarantine:
    values = quarantine.read(settings().kafka_bootstrap)
    return quarantine.fold(
        streaming.counted(f"reading {quarantine.TOPIC}", values, quiet=quiet), codec
    )


@app.command(name="list", epilog="Example: millrace quarantine list --reason unknown_schema --json")
def list_entries(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=0, help="show the newest so many; 0: all")] = 50,
    reason: Reason = "",
    topic: Topic = "",
    replayed: Annotated[
        bool, typer.Option("--replayed", help="also what was produced again already")
    ] = False,
) -> None:
    """List what is set aside: counts by reason, and the newest records."""
    with _codec() as codec:
        found = _read(codec, quiet=as_json)
    entries = list(found.entries.values()) if replayed else found.open()
    entries = [entry for entry in entries if _matches(entry, reason, topic)]
    shown = entries[-limit:] if limit else entries
    if as_json:
        counts = {"open": len(found.open()), "replayed": len(found.entries) - len(found.open())}
        records = [summary(entry) for entry in shown]
        typer.echo(
            json.dumps(
                {
                    **counts,
                    "unreadable": found.unreadable,
                    "reasons": found.reasons(),
                    "records": records,
                }
            )
        )
        return
    if shown:
        _table(shown, replayed)
    listed = ", ".join(f"{count} {name}" for name, count in found.reasons().items())
    typer.echo(f"{len(found.open())} aside" + (f": {listed}" if listed else ""))
    if len(shown) < len(entries):
        typer.echo(f"the newest {len(shown)} of {len(entries)} shown: --limit 0 shows all")
    if found.unreadable:
        typer.echo(
            f"{found.unreadable} records in {quarantine.TOPIC} "
            "are unreadable themselves and left out"
        )


@app.command(epilog="Example: millrace quarantine show transactions/0/12345")
def show(
    position: Annotated[
        str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="as `list` prints it")
    ],
    as_json: AsJson = False,
    limit: Annotated[
        int, typer.Option("--bytes", min=0, help="bytes of the value shown; 0: all")
    ] = 1024,
) -> None:
    """Show one record: its key, its bytes, why it is here, whether it can be read now."""
    with _codec() as codec:
        entry = _read(codec, quiet=as_json).find(Position.parse(position))
        try:
            now, problem = quarantine_replay.attempt(codec, entry, now_ms()), None
        except UnreadableError as error:
            now, problem = None, str(error)
    if as_json:
        value = None if entry.value is None else base64.b64encode(entry.value).decode()
        body = {**summary(entry), "value_base64": value, "record": now, "unreadable_now": problem}
        typer.echo(json.dumps(body, default=text))
        return
    for name, fact in summary(entry).items():
        typer.echo(f"{name:15} {fact if not isinstance(fact, list) else ', '.join(fact)}")
    raw = entry.value or b""
    for line in hexdump(raw[: limit or None]):
        typer.echo(f"  {line}")
    if limit and len(raw) > limit:
        typer.echo(f"  … {len(raw) - limit} bytes more: --bytes 0 shows all")
    typer.echo(
        f"unreadable now: {problem}"
        if problem
        else f"readable now: {json.dumps(now, default=text)}"
    )


@app.command(epilog="Example: millrace quarantine replay --all")
def replay(  # noqa: PLR0917 - options of a command
    positions: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="these")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that is aside")] = False,
    reason: Reason = "",
    force: Annotated[bool, typer.Option("--force", help="also what still cannot be read")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would be produced")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Produce again, key and bytes unchanged, whatever can be read by now.

    Exit with code 1 if something stays.

    Nothing is replayed twice. A replay that was interrupted, or two at once, may produce some bytes
    a second time; readers recognise them by their ids.
    """
    if sum((bool(positions), everything, bool(reason))) != 1:
        raise UserError("say which: --all, --reason REASON, or TOPIC/PARTITION/OFFSET")
    wanted = [Position.parse(text) for text in dict.fromkeys(positions or [])]
    with _codec() as codec:
        found = _read(codec, quiet=as_json)
        entries = (
            [found.find(position) for position in wanted]
            if wanted
            else [entry for entry in found.open() if _matches(entry, reason, "")]
        )
        outbox = quarantine_replay.KafkaOutbox(settings().kafka_bootstrap)
        done = quarantine_replay.replay(
            entries, codec, outbox, now_ms, time.sleep, force=force, dry=dry_run
        )
    if as_json:
        body: dict[str, Any] = {
            "dry_run": dry_run,
            "replayed": [str(position) for position in done.sent],
            "stayed": [{"id": str(position), "why": why} for position, why in done.stayed],
            "already_replayed": [str(position) for position in done.before],
        }
        typer.echo(json.dumps(body))
    else:
        for stays, why in done.stayed:
            typer.echo(f"stays {stays}: {why}")
        for position in done.before:
            typer.echo(f"already replayed {position}")
        words = "would be replayed" if dry_run else "replayed"
        typer.echo(
            f"{len(done.sent)} {words}, {len(done.stayed)} stay, "
            f"{len(done.before)} were replayed before"
        )
    if done.stayed:
        raise typer.Exit(1)


def summary(entry: Entry) -> dict[str, Any]:
    """Return an entry without its value, for JSON."""
    return {
        "id": str(entry.position),
        "reason": entry.reason,
        "detail": entry.detail,
        "key": None if entry.key is None else text(entry.key),
        "bytes": None if entry.value is None else len(entry.value),
        "source_time": iso(entry.source_time),
        "quarantined_at": iso(entry.quarantined_at),
        "jobs": entry.jobs,
        "replayed": entry.replayed,
    }


def text(raw: bytes) -> str:
    """Render bytes for a person: as text if they are text, else in hexadecimal (0x…)."""
    try:
        decoded = raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
    return decoded if decoded.isprintable() else f"0x{raw.hex()}"


def iso(milliseconds: int) -> str:
    """Format a time in UTC, or as a number if no calendar holds it (a broken producer's)."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def hexdump(raw: bytes) -> Iterator[str]:
    """Yield lines of offset, 16 bytes in hexadecimal, and the same in ASCII (dots otherwise)."""
    for start in range(0, len(raw), WIDTH):
        part = raw[start : start + WIDTH]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{start:08x}  {part[:8].hex(' '):23}  {part[8:].hex(' '):23}  |{letters}|"


def _matches(entry: Entry, reason: str, topic: str) -> bool:
    return reason in ("", entry.reason) and topic in ("", entry.position.topic)


def _table(entries: list[Entry], with_replayed: bool) -> None:
    table = Table()
    # Ids are there to be copied: never wrap or shorten one.
    table.add_column(
        "id", no_wrap=True, min_width=max(len(str(entry.position)) for entry in entries)
    )
    for heading in (
        "reason",
        "key",
        "bytes",
        "when",
        "jobs",
        "detail",
        *(["replayed"] if with_replayed else []),
    ):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        facts = summary(entry)
        row = [facts["id"], facts["reason"], facts["key"], facts["bytes"], facts["quarantined_at"]]
        row += [
            ", ".join(entry.jobs),
            entry.detail,
            *(["yes" if entry.replayed else "no"] if with_replayed else []),
        ]
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
    Console(markup=False).print(table)
