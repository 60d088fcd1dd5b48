"""Keep detections in SQL, and find them by filters, newest window first."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    and_,
    case,
    delete,
    func,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from config.errors import RetryableError, without_credentials
from domain.alerts.episodes import Criticality
from domain.times import document_of
from serving.anomalies.tables import DETECTIONS, migrate, opened, writing

TIMES = ("timestamp", "detected_at")
DAY_MS = 86_400_000
_PRUNE_S = 3600.0
_AT_ONCE = 50
"""Rows of one INSERT: SQLite takes 999 values at least, a row has 13."""
# Any: the two have no common type for what they add to an INSERT.
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_TOLD = [column for column in DETECTIONS.c if column.name != "record"]
Row = dict[str, Any]
Place = tuple[int, str]
"""Where a page ended: the window's time (ms) and the detection's id."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for; None is not asked.

    Windows from `start`, inside, to `end`, outside, both in milliseconds.
    """

    asset_id: str | None = None
    sensor_id: str | None = None
    start: int | None = None
    end: int | None = None
    is_anomaly: bool | None = None
    criticality: Criticality | None = None


def cursor(place: Place) -> str:
    """Return a place as text for a URL."""
    return base64.urlsafe_b64encode(f"{place[0]}:{place[1]}".encode()).decode().rstrip("=")


def place(text: str) -> Place:
    """Invert `cursor`. Raise ValueError for anything else."""
    try:
        padded = text + "=" * (-len(text) % 4)
        when, _, name = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        )
        found = int(when), name
    except (ValueError, binascii.Error) as error:
        raise ValueError("the cursor is not one that an earlier page gave") from error
    if not name or not -(2**63) <= found[0] < 2**63:
        raise ValueError("the cursor is not one that an earlier page gave")
    return found


class History:
    """Detections behind a SQLAlchemy URL.

    Every method raises RetryableError while the database is away.
    """

    def __init__(
        self, url: str, kept_days: int = 90, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the database when it is first needed. `clock` gives seconds since 1970."""
        self._engine: Engine = opened(url)
        self._name = without_credentials(url)
        self._insert = _INSERTS[self._engine.dialect.name]
        self._kept_ms, self._clock = kept_days * DAY_MS, clock
        self._migrated, self._pruned = False, float("-inf")

    def now(self) -> int:
        """Return milliseconds since 1970."""
        return int(self._clock() * 1000)

    def add(self, rows: Sequence[Row]) -> None:
        """Keep detections; one whose id is known is replaced. Ids within a call differ."""
        with self._at_hand(), writing(self._engine) as connection:
            for start in range(0, len(rows), _AT_ONCE):
                insert = self._insert(DETECTIONS).values(list(rows[start : start + _AT_ONCE]))
                replaced = {
                    name: insert.excluded[name]
                    for name in DETECTIONS.c.keys()  # noqa: SIM118 - no mapping
                    if name != "detection_id"
                }
                connection.execute(
                    insert.on_conflict_do_update(index_elements=["detection_id"], set_=replaced)
                )
            self._prune(connection)

    def keep(self, rows: Sequence[Row]) -> list[Row | None]:
        """Keep detections in one transaction; of one whose id is known the first stays.

        Return for each None, or the `record` that stays instead. Ids within a call may repeat.
        """
        found: list[Row | None] = []
        with self._at_hand(), writing(self._engine) as connection:
            for row in rows:
                insert = self._insert(DETECTIONS).values(row)
                kept = insert.on_conflict_do_nothing(index_elements=["detection_id"])
                if connection.execute(kept).rowcount:
                    found.append(None)
                    continue
                same = DETECTIONS.c.detection_id == row["detection_id"]
                first = connection.execute(select(DETECTIONS.c.record).where(same))
                found.append(first.scalar())
            self._prune(connection)
        return found

    def _prune(self, connection: Connection) -> None:
        if self._clock() - self._pruned >= _PRUNE_S:
            self._pruned = self._clock()
            oldest = self.now() - self._kept_ms
            connection.execute(delete(DETECTIONS).where(DETECTIONS.c.detected_at < oldest))

    def find(
        self, filters: Filters, limit: int, *, offset: int = 0, after: Place | None = None
    ) -> list[Row]:
        """Return a page of detections, the newest window first, of one time by id.

        `after` is where the page before ended.
        """
        query = select(*_TOLD).where(*_conditions(filters))
        if after is not None:
            query = query.where(_after(after))
        query = query.order_by(DETECTIONS.c.timestamp.desc(), DETECTIONS.c.detection_id.desc())
        with self._at_hand(), self._engine.connect() as connection:
            found = connection.execute(query.limit(limit).offset(offset))
            return [_plain(row) for row in found.mappings()]

    def count(self, filters: Filters) -> int:
        """Return how many detections there are."""
        query = select(func.count()).select_from(DETECTIONS).where(*_conditions(filters))
        with self._at_hand(), self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def summary(self, since: int, by: str) -> list[Row]:
        """Return counts and mean scores of detections made since (ms), by a column's values."""
        column = DETECTIONS.c[by]
        anomalies = func.sum(case((DETECTIONS.c.is_anomaly, 1), else_=0))
        query = (
            select(
                column.label("name"),
                func.count().label("detections"),
                anomalies.label("anomalies"),
                func.avg(DETECTIONS.c.score).label("mean_score"),
            )
            .where(DETECTIONS.c.detected_at >= since)
            .group_by(column)
            .order_by(anomalies.desc(), column)
        )
        with self._at_hand(), self._engine.connect() as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]

    def check(self) -> None:
        """Return if the database answers."""
        with self._at_hand(), self._engine.connect() as connection:
            connection.execute(select(1))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _at_hand(self) -> Iterator[None]:
        try:
            if not self._migrated:
                migrate(self._engine)
                self._migrated = True
            yield
        except DBAPIError as error:
            if isinstance(error, OperationalError) or error.connection_invalidated:
                told = without_credentials(str(error.orig))
                raise RetryableError(f"{self._name} does not answer: {told}") from error
            raise


def document(row: Row) -> Row:
    """Return a detection as JSON tells it."""
    return document_of(row, TIMES)


def _plain(row: RowMapping) -> Row:
    # The names of columns are of a subclass of str, which orjson refuses.
    return {str(name): value for name, value in row.items()}


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    columns = DETECTIONS.c
    equal = {
        name: getattr(filters, name)
        for name in ("asset_id", "sensor_id", "is_anomaly", "criticality")
    }
    found = [columns[name] == value for name, value in equal.items() if value is not None]
    if filters.start is not None:
        found.append(columns.timestamp >= filters.start)
    if filters.end is not None:
        found.append(columns.timestamp < filters.end)
    return found


def _after(end: Place) -> ColumnElement[bool]:
    when, name = end
    columns = DETECTIONS.c
    same = and_(columns.timestamp == when, columns.detection_id < name)
    return or_(columns.timestamp < when, same)
