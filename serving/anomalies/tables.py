"""Open the database of detections, and bring its tables to the newest version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import make_url
from sqlalchemy.pool import ConnectionPoolEntry

METADATA = MetaData()
DETECTIONS = Table(
    "anomaly_detections",
    METADATA,
    Column("detection_id", String(64), primary_key=True),
    Column("asset_id", String(200)),
    Column("sensor_id", String(200), nullable=False),
    Column("timestamp", BigInteger, nullable=False),  # ms, of the window
    Column("detected_at", BigInteger, nullable=False),  # ms
    Column("criticality", String(16), nullable=False),
    Column("score", Float(53), nullable=False),
    Column("threshold", Float(53), nullable=False),
    Column("is_anomaly", Boolean, nullable=False),
    Column("model_version", String(200), nullable=False),
    Column("detectors", JSON, nullable=False),
    Column("features", JSON, nullable=False),
    Column("explanation", JSON, nullable=False),
    Column(
        "record", JSON(none_as_null=True)
    ),  # of a window of the stream: the AnomalyDetected that was told
    Index("anomaly_detections_time", "timestamp", "detection_id"),
    Index("anomaly_detections_asset", "asset_id", "timestamp"),
    Index("anomaly_detections_sensor", "sensor_id", "timestamp"),
)
WRITES = "millrace_writes"
"""The execution option of connections whose transactions write."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_203_651
"""Of PostgreSQL's advisory locks, the one that migrations of these tables hold."""


def opened(url: str) -> Engine:
    """Return the engine of a SQLAlchemy URL: SQLite or PostgreSQL (by psycopg)."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _shared)
        event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Hold a transaction that writes; it is committed at the end, or undone by an error."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{WRITES: True})
        with connection.begin():
            yield connection


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version, in one transaction.

    Processes that start together wait in turn.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _shared(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Let others read while one process writes, and let writers wait for each other."""
    # Else Python's driver begins no transaction for DDL, and a killed migration would stay half.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction; one that will write takes SQLite's lock at once.

    A lock that is taken later, after a read, is refused without waiting.
    """
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
