"""Let a job pass records through Python: rows in and out of a DataStream, by the contracts.

A job module that sets `PYTHON = True` gets an environment with streams. Its functions run within
the TaskManager (Flink's thread mode), one after the other: about 20,000 rows a second. In a stream
a time is a number of milliseconds, as everywhere else in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from processing.tables import columns, source_ddl, table_name, unreadable

if TYPE_CHECKING:
    from pyflink.common import Row
    from pyflink.common.typeinfo import RowTypeInfo
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.table import StatementSet, StreamTableEnvironment

THREADS = {"python.execution-mode": "thread"}
PLACE = {"kafka_time": "TIMESTAMP_LTZ(3)", "kafka_partition": "INT", "kafka_offset": "BIGINT"}
"""Where a record stands in the log, and since when."""

_TIME = "TIMESTAMP_LTZ(3)"


def incoming(record: str, source: str) -> str:
    """SELECT a record's columns and its PLACE from the source table or view, for a stream."""
    listed = (
        f"EXTRACT(EPOCH FROM `{name}`) * 1000 + EXTRACT(MILLISECOND FROM `{name}`) AS `{name}`"
        if kind == _TIME
        else f"`{name}`"
        for name, kind in {**columns(record), **PLACE}.items()
    )
    return f"SELECT {', '.join(listed)} FROM {source}"


def outgoing(record: str, stream: str) -> str:
    """SELECT a record's columns from the view of a stream of `row_type(record)`."""
    listed = (
        f"TO_TIMESTAMP_LTZ(`{name}`, 3) AS `{name}`" if kind == _TIME else f"`{name}`"
        for name, kind in columns(record).items()
    )
    return f"SELECT {', '.join(listed)} FROM {stream}"


def aside(environment: StreamTableEnvironment, topic: str, job: str) -> str:
    """SELECT a topic's unreadable records for `quarantine`, by a source of their own.

    A table that becomes a stream has a source apart from that of the statements. In one group the
    faster of the two would commit what the other has not handled.
    """
    table = f"{table_name(topic)}_unreadable"
    environment.execute_sql(source_ddl(topic, group=f"millrace-{job}-unreadable", table=table))
    return unreadable(topic, job, table=table)


def row_type(record: str) -> RowTypeInfo:
    """Return the type of a record's rows in a stream."""
    from pyflink.common import Types

    text = Types.STRING()
    types = {
        _TIME: Types.LONG(),
        "BIGINT": Types.LONG(),
        "INT": Types.INT(),
        "DOUBLE": Types.DOUBLE(),
        "BOOLEAN": Types.BOOLEAN(),
        "STRING": text,
        "ARRAY<STRING>": Types.OBJECT_ARRAY(text),
        "MAP<STRING, STRING>": Types.MAP(text, text),
        "MAP<STRING, DOUBLE>": Types.MAP(text, Types.DOUBLE()),
    }
    declared = columns(record)
    return Types.ROW_NAMED(list(declared), [types[kind] for kind in declared.values()])


class Rows:
    """Make rows of a record's objects."""

    def __init__(self, record: str) -> None:
        from pyflink.common import Row

        self._names, self._row = tuple(columns(record)), Row

    def __call__(self, record: object) -> Row:
        """Return the row of one; tuples become lists and mappings dictionaries, as Flink wants."""
        return self._row(*(_plain(getattr(record, name)) for name in self._names))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def start(environment: StreamTableEnvironment, statements: StatementSet, job: str) -> str:
    """Start the statements, and the streams they read, as one job; return its id.

    The operators of a job with streams cannot be named one by one (processing/plan.py): functions
    have a `uid` of their own, by which their state is found; a source goes on from the offsets that
    Kafka keeps for its group if its own state is not found.
    """
    streams = _streams(environment)
    statements.attach_as_datastream()
    return str(streams.execute_async(job).get_job_id())


def configure(environment: StreamTableEnvironment, options: Mapping[str, str]) -> None:
    """Set Flink's options of the job, for its streams and its tables."""
    from pyflink.common import Configuration

    configuration = Configuration()
    for key, value in options.items():
        configuration.set_string(key, value)
        environment.get_config().set(key, value)
    _streams(environment).configure(configuration)


def _streams(environment: StreamTableEnvironment) -> StreamExecutionEnvironment:
    from pyflink.datastream import StreamExecutionEnvironment

    return StreamExecutionEnvironment(environment._j_tenv.execEnv())
