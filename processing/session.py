"""Set up what every job has in common.

Memory, checkpoints and RocksDB belong to the cluster (millrace.stack.parts.flink).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from processing.streams import configure

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

_OPTIONS = {
    # Rows are handed on by reference: no operator of ours keeps a row it was given.
    "pipeline.object-reuse": "true",
    # Instants everywhere: HOUR(event_time) means the hour in UTC.
    "table.local-time-zone": "UTC",
    # State ends by its own rules (tiles that roll, windows that close, keep_idle_ms of `rolling`),
    # not by one setting for a whole job.
    "table.exec.state.ttl": "0 ms",
}
_FUNCTIONS = {
    "rolling": "millrace.kernel.rolling.Rolling",
    "sessionize": "millrace.kernel.sessionize.Sessionize",
    "tally": "millrace.kernel.tally.Tally",
    "window_sums": "millrace.kernel.tally.WindowSums",
}


def session(
    job: str, options: Mapping[str, str] | None = None, *, python: bool = False
) -> TableEnvironment:
    """Return a streaming TableEnvironment for the job named `job`, with the kernel's functions.

    `options` are Flink's, and override those that every job has. With `python` it is a
    StreamTableEnvironment, for streams that pass through functions in Python.
    """
    # Imported here because only the flink environment has pyflink, and a job's SQL can be read
    # without it.
    from pyflink.table import EnvironmentSettings, TableEnvironment

    given = {"pipeline.name": job, **_OPTIONS, **(options or {})}
    if python:
        environment = _with_streams(given)
    else:
        environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        for key, value in given.items():
            environment.get_config().set(key, value)
    for name, java in _FUNCTIONS.items():
        environment.execute_sql(
            f"CREATE TEMPORARY SYSTEM FUNCTION {name} AS '{java}' LANGUAGE JAVA"
        )
    return environment


def _with_streams(options: Mapping[str, str]) -> TableEnvironment:
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment

    streams = StreamExecutionEnvironment.get_execution_environment()
    environment = StreamTableEnvironment.create(streams)
    # Not at its making: an environment that is made in this process would then insist on running
    # the job here as well.
    configure(environment, options)
    return environment
