"""What every job sets up the same way; memory, checkpoints and RocksDB belong to the cluster (`millrace.stack.flink`)."""

from __future__ import annotations

from pyflink.table import EnvironmentSettings, TableEnvironment

_OPTIONS = {
    # Rows are handed on by reference: no operator of ours keeps one it was given.
    "pipeline.object-reuse": "true",
    # Instants everywhere: HOUR(event_time) means the hour in UTC.
    "table.local-time-zone": "UTC",
    # State ends by its own rules (tiles that roll, windows that close), never by a clock of its own.
    "table.exec.state.ttl": "0 ms",
}


def session(job: str) -> TableEnvironment:
    """A streaming TableEnvironment for the job named `job`, with the kernel's functions."""
    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    options = environment.get_config()
    options.set("pipeline.name", job)
    for key, value in _OPTIONS.items():
        options.set(key, value)
    environment.execute_sql(
        "CREATE TEMPORARY SYSTEM FUNCTION rolling AS 'millrace.kernel.rolling.Rolling' LANGUAGE JAVA"
    )
    return environment
