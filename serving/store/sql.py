"""Keep values in a SQL database: SQLite in a file by default.

The rules are those of the other stores; each write is a few statements, a batch one transaction.
Whatever it has answered is on disk, so commits need not trail it. Tables: `millrace_values`, one
row per key, and `millrace_members`, one row per member of an index.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from config.errors import RetryableError, without_credentials
from serving.store.model import Index, Rule, Stored, Write

_METADATA = MetaData()
_VALUES = Table(
    "millrace_values",
    _METADATA,
    Column("key", String, primary_key=True),
    Column("event_time", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, index=True),  # ms; null: never
)
_MEMBERS = Table(
    "millrace_members",
    _METADATA,
    Column("index", String, primary_key=True),
    Column("member", LargeBinary, primary_key=True),
    Column("event_time", BigInteger, nullable=False),
    Column("expires_at", BigInteger, index=True),
)
# Any: the two have no common type for what they add to an INSERT.
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class SqlStore:
    """The store behind a SQLAlchemy URL, for instance `sqlite:///FILE`. `clock` gives seconds."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self.trail = 0.0
        self._clock = clock
        self._engine: Engine = create_engine(url)
        self._name = without_credentials(url)
        self._insert = _INSERTS[self._engine.dialect.name]
        self._ready = False
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _durable)

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply the writes in one transaction.

        Raise RetryableError if the database cannot write now.
        """
        if not writes:
            return []
        try:
            self._prepare()
            with self._engine.begin() as connection:
                now = int(self._clock() * 1000)
                _purge(connection, now)
                return [self._apply(connection, write, now) for write in writes]
        except (OperationalError, DBAPIError) as error:
            if isinstance(error, OperationalError) or error.connection_invalidated:
                raise self._away(error) from error
            raise

    def check(self) -> None:
        """Return at once: committed data is on disk."""

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def get(self, key: str) -> Stored | None:
        """Return the value of a key."""
        self._prepare()
        with self._engine.connect() as connection:
            return _stored(connection, key, int(self._clock() * 1000))

    def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members of an index, newest first."""
        self._prepare()
        now = int(self._clock() * 1000)
        alive = or_(_MEMBERS.c.expires_at.is_(None), _MEMBERS.c.expires_at > now)
        query = (
            select(_MEMBERS.c.member)
            .where(_MEMBERS.c.index == index, alive)
            .order_by(_MEMBERS.c.event_time.desc(), _MEMBERS.c.member.desc())
            .limit(count)
        )
        with self._engine.connect() as connection:
            return [bytes(row[0]) for row in connection.execute(query)]

    def _prepare(self) -> None:
        if not self._ready:
            _METADATA.create_all(self._engine)
            self._ready = True

    def _apply(self, connection: Connection, write: Write, now: int) -> Stored | None:
        expires = None if write.ttl_ms is None else now + write.ttl_ms
        if not self._put(connection, write.key, write, expires, replace=write.rule is Rule.NEWEST):
            return _stored(connection, write.key, now)
        if write.latest:
            self._put(connection, write.latest, write, expires, replace=True)
            renewed = update(_VALUES).where(_VALUES.c.key == write.latest)
            connection.execute(renewed.values(expires_at=expires))
        if write.index is not None:
            self._enter(connection, write.index, write, expires)
        return None

    def _put(
        self,
        connection: Connection,
        key: str,
        write: Write,
        expires: int | None,
        *,
        replace: bool,
    ) -> bool:
        """Put a value; return whether it stays.

        The database itself compares, so any process may write.
        """
        row = {
            "event_time": write.event_time,
            "sequence": write.sequence,
            "data": write.data,
            "expires_at": expires,
        }
        statement = self._insert(_VALUES).values(key=key, **row)
        if replace:
            newer = or_(
                _VALUES.c.event_time < write.event_time,
                (_VALUES.c.event_time == write.event_time) & (_VALUES.c.sequence < write.sequence),
            )
            statement = statement.on_conflict_do_update(
                index_elements=["key"], set_=row, where=newer
            )
        else:
            statement = statement.on_conflict_do_nothing(index_elements=["key"])
        return connection.execute(statement.returning(_VALUES.c.key)).first() is not None

    def _enter(
        self, connection: Connection, index: Index, write: Write, expires: int | None
    ) -> None:
        member = write.data if index.member is None else index.member.encode()
        row = {"event_time": write.event_time, "expires_at": expires}
        connection.execute(
            self._insert(_MEMBERS)
            .values(index=index.key, member=member, **row)
            .on_conflict_do_update(index_elements=["index", "member"], set_=row)
        )
        connection.execute(
            update(_MEMBERS).where(_MEMBERS.c.index == index.key).values(expires_at=expires)
        )
        surplus = (
            select(_MEMBERS.c.member)
            .where(_MEMBERS.c.index == index.key)
            .order_by(_MEMBERS.c.event_time.desc(), _MEMBERS.c.member.desc())
            .offset(index.keep)
            .limit(1_000_000)  # SQLite has no OFFSET without LIMIT
        )
        gone = [bytes(row[0]) for row in connection.execute(surplus)]
        if gone:
            connection.execute(
                delete(_MEMBERS).where(_MEMBERS.c.index == index.key, _MEMBERS.c.member.in_(gone))
            )
        if gone and index.evict:
            keys = [index.evict + one.decode() for one in gone]
            connection.execute(delete(_VALUES).where(_VALUES.c.key.in_(keys)))

    def _away(self, error: DBAPIError) -> RetryableError:
        told = without_credentials(str(error.orig))
        return RetryableError(f"{self._name} cannot be written now: {told}")


def _durable(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Make SQLite answer only once data is on disk, and let others read while it writes."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _purge(connection: Connection, now: int) -> None:
    for table in (_VALUES, _MEMBERS):
        connection.execute(delete(table).where(table.c.expires_at <= now))


def _stored(connection: Connection, key: str, now: int) -> Stored | None:
    row = connection.execute(
        select(_VALUES.c.event_time, _VALUES.c.sequence, _VALUES.c.data).where(
            _VALUES.c.key == key,
            or_(_VALUES.c.expires_at.is_(None), _VALUES.c.expires_at > now),
        )
    ).first()
    return None if row is None else Stored(row.event_time, row.sequence, bytes(row.data))
