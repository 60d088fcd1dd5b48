"""Read sessions for an evaluation, and split them by time.

Formats, plain or gzip, told apart by the first line:

- `SessionId`, `ItemId`, `Time` separated by tabs, with this header and further columns if need be;
  rows in any order. Times are numbers (the unit does not matter) or ISO 8601.
- One session a line: item ids separated by spaces (or commas), the oldest first; lines in the order
  of time.
- For tests besides, one question a line: the ids of a prefix as above, a tab, the next item; or as
  JSON, `[[prefix ...], next]` or `{"prefix": [...], "next": ...}`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from config.errors import UserError

HEADER = ("SessionId", "ItemId", "Time")
Session = list[str]
Question = tuple[Session, str]
"""A prefix, and the item that came next."""


@dataclass(frozen=True, slots=True)
class Log:
    """Sessions in order of time, or questions, of which only tests can consist."""

    sessions: list[Session] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def asked(self) -> Iterator[tuple[Question, Session | None]]:
        """Yield the questions; beside the last of a session the session, else None."""
        for question in self.questions:
            yield question, None
        for session in self.sessions:
            for place in range(1, len(session)):
                last = place == len(session) - 1
                yield (session[:place], session[place]), session if last else None

    def __len__(self) -> int:
        return len(self.questions) + sum(max(0, len(one) - 1) for one in self.sessions)


def read(path: Path) -> Log:
    """Return the sessions or questions of a file. Raise UserError for one that cannot be read."""
    try:
        with _opened(path) as file:
            first = file.readline()
            if not first.strip():
                raise UserError(f"{path}: the first line is empty")
            lines = _lines(first, file)
            if first.rstrip("\r\n").split("\t")[: len(HEADER)] == list(HEADER):
                return Log(sessions=_table(path, file))
            if first[0] in "[{":
                return Log(questions=[_json(path, *one) for one in lines])
            if "\t" in first:
                return Log(questions=[_pair(path, *one) for one in lines])
            return Log(sessions=[_ids(line) for _, line in lines if line.strip()])
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def split(log: Log, how: str) -> tuple[Log, Log]:
    """Return the sessions before and those to test on: `last:0.1`, or `0.8:0.9` for that part.

    Raise UserError for anything else.
    """
    begin, _, end = how.partition(":")
    try:
        first, last = (1 - float(end), 1.0) if begin == "last" else (float(begin), float(end))
    except ValueError:
        raise UserError(f"--split {how}: give last:0.1, or 0.8:0.9") from None
    if not 0 < first < last <= 1:
        raise UserError(f"--split {how}: shares lie between 0 and 1, the smaller first")
    if log.questions:
        raise UserError("--split needs sessions; the file holds questions")
    count = len(log.sessions)
    one, two = round(count * first), round(count * last)
    if not 0 < one < two:
        raise UserError(f"--split {how} leaves nothing of {count} sessions on one side")
    return Log(log.sessions[:one]), Log(log.sessions[one:two])


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    if zipped:
        return cast("IO[str]", gzip.open(path, "rt", encoding="utf-8"))
    return path.open(encoding="utf-8")


def _lines(first: str, file: IO[str]) -> Iterator[tuple[int, str]]:
    yield 1, first
    yield from ((number, line) for number, line in enumerate(file, start=2) if line.strip())


def _ids(text: str) -> Session:
    return text.replace(",", " ").split()


def _pair(path: Path, number: int, line: str) -> Question:
    prefix, _, following = line.rstrip("\r\n").partition("\t")
    ids, wanted = _ids(prefix), following.strip()
    if not ids or not wanted or "\t" in wanted:
        raise UserError(f"{path}, line {number}: expected a prefix, a tab and the next item")
    return ids, wanted


def _json(path: Path, number: int, line: str) -> Question:
    try:
        found = json.loads(line)
        prefix, following = (
            (found["prefix"], found["next"]) if isinstance(found, dict) else (found[0], found[1])
        )
        ids = [str(one) for one in prefix]
    except (ValueError, KeyError, IndexError, TypeError):
        ids, following = [], None
    if not ids or following is None:
        raise UserError(f'{path}, line {number}: expected [[prefix], next] or {{"prefix", "next"}}')
    return ids, str(following)


def _table(path: Path, file: IO[str]) -> list[Session]:
    import pandas as pd  # takes long to load, and the other formats do without

    try:
        rows = pd.read_csv(file, sep="\t", names=[*HEADER], usecols=[0, 1, 2], dtype=str)
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if rows.empty or rows.isna().to_numpy().any():
        raise UserError(f"{path}: every row needs {', '.join(HEADER)}")
    rows["when"] = _times(path, rows["Time"])
    rows = rows.sort_values("when", kind="stable")
    started = rows.groupby("SessionId", sort=False)["ItemId"].agg(list)
    return cast("list[Session]", list(started))


def _times(path: Path, column: Any) -> Any:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    if not numbers.isna().any():
        return numbers
    try:
        return pd.to_datetime(column, utc=True, format="ISO8601")
    except ValueError as error:
        raise UserError(f"{path}: Time must be a number or ISO 8601: {error}") from error


def items(sessions: Sequence[Session]) -> set[str]:
    """Return the catalogue: every item of the sessions."""
    return {item for session in sessions for item in session}
