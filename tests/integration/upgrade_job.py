"""A Flink job around `rolling` that can be stopped with a savepoint and started from one, for test_upgrade.py.

    .venv-flink/bin/python tests/integration/upgrade_job.py SPEC.json FOLDER ROWS [SAVEPOINT]

One key, one row a second of event time, numbered from 1; prints each row's number and features, and after at least
ROWS rows stops with a savepoint, whose path is the last line. The kernel is in FLINK_LIB_DIR.
"""

# ruff: noqa: S608 - a test's own names

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment

RATE = 200


def main(spec_file: str, folder: str, rows: str, savepoint: str = "") -> None:
    """Run until enough rows have gone through, then stop with a savepoint."""
    configuration = Configuration()
    options = {
        "state.backend.type": "rocksdb",
        "parallelism.default": "1",
        "taskmanager.memory.managed.size": "64m",
        "pipeline.object-reuse": "true",
        # rolling keeps its state all the same: expired, the second run would begin anew.
        "table.exec.state.ttl": "1 s",
        "execution.checkpointing.dir": f"file://{folder}/checkpoints",
        **({"execution.state-recovery.path": savepoint} if savepoint else {}),
    }
    for key, value in options.items():
        configuration.set_string(key, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    environment = TableEnvironment.create(settings)
    environment.execute_sql(
        "CREATE TEMPORARY SYSTEM FUNCTION rolling AS 'millrace.kernel.rolling.Rolling' LANGUAGE JAVA"
    )
    environment.execute_sql(
        f"CREATE TEMPORARY TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '{RATE}', "
        "'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000')"
    )
    environment.execute_sql(
        "CREATE TEMPORARY VIEW feed AS SELECT 'k' AS k, n, n * 1000 AS t, n * CAST(0.1 AS DOUBLE) AS x, "
        "CAST(n AS STRING) AS id FROM numbers"
    )
    spec = json.loads(Path(spec_file).read_text())
    table = environment.sql_query(
        f"SELECT * FROM rolling(`in` => TABLE feed PARTITION BY (k), spec => '{json.dumps(spec)}', uid => 'upgrade')"
    )
    environment.create_temporary_view("rolled", table)
    names = ["n", *(feature["name"] for feature in spec["features"])]
    environment.execute_sql("CREATE TEMPORARY TABLE lines (line STRING) WITH ('connector' = 'print')")
    texts = ", ',', ".join(f"COALESCE(CAST({name} AS STRING), 'null')" for name in names)
    running = environment.execute_sql(f"INSERT INTO lines SELECT CONCAT({texts}) FROM rolled").get_job_client()
    assert running is not None
    time.sleep(3 + int(rows) / RATE)
    native = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.NATIVE
    path = running._j_job_client.stopWithSavepoint(False, f"{folder}/savepoints", native).get()
    sys.stdout.write(f"\nSAVEPOINT {path}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
