"""A real Flink job whose rows come in wall time, for the test of idle keys.

Runs in the flink environment.

    .venv-flink/bin/python tests/integration/idle_job.py JOB.json

JOB.json: {"spec": {…}, "output", "rows", "rows_per_second"}. Rows are numbered `n` from 0 and have
one time `t`. The first and the last are of the key `idle`, all others of `busy`. The features of
each row are written as JSON lines below `output`.
"""
# ruff: noqa: S608 - a test's own names

from __future__ import annotations

import json
import sys
from pathlib import Path

from processing.session import session


def main(job_file: str) -> None:
    """Run the job of the file to its end."""
    job = json.loads(Path(job_file).read_text())
    last = job["rows"] - 1
    environment = session("idle-keys", {"parallelism.default": "1"})
    for key, value in {
        "state.backend.type": "rocksdb",
        "execution.checkpointing.interval": "1 s",
        "restart-strategy.type": "none",
        "taskmanager.memory.managed.size": "256m",
    }.items():
        environment.get_config().set(key, value)
    environment.execute_sql(
        "CREATE TEMPORARY TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', "
        f"'rows-per-second' = '{job['rows_per_second']}', 'fields.n.kind' = 'sequence', "
        f"'fields.n.start' = '0', 'fields.n.end' = '{last}')"
    )
    environment.execute_sql(
        "CREATE TEMPORARY VIEW numbered AS SELECT n, CAST(1700000000000 AS BIGINT) AS t, "
        f"CASE WHEN n IN (0, {last}) THEN 'idle' ELSE 'busy' END AS k FROM numbers"
    )
    rows = environment.sql_query(
        "SELECT n, k, `rows` FROM rolling(`in` => TABLE numbered PARTITION BY (k), "
        f"spec => '{json.dumps(job['spec'])}', uid => 'idle')"
    )
    environment.create_temporary_view("features", rows)
    environment.execute_sql(
        "CREATE TEMPORARY TABLE written (n BIGINT, k STRING, `rows` BIGINT) WITH "
        f"('connector' = 'filesystem', 'path' = 'file://{job['output']}', 'format' = 'json')"
    )
    environment.execute_sql("INSERT INTO written SELECT * FROM features").wait()


if __name__ == "__main__":
    main(sys.argv[1])
