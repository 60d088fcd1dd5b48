"""A real Flink job of a job's own views over records from a file, for test_graph.py.

Runs in the flink environment.

    .venv-flink/bin/python tests/integration/graph_job.py JOB.json

JOB.json: {"input", "columns": [[name, SQL type]], "views": {name: query}, "outputs": {folder:
query}}. Reads the JSON lines of `input` in order as table `records`, makes the views, and writes
each query's rows as JSON lines, instants in ISO 8601.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyflink.table import TableDescriptor

from processing.session import session
from processing.tables import create_views
from tests.integration.rolling_job import OPTIONS, kept


def main(job_file: str) -> None:
    """Run the job of the file to its end."""
    job = json.loads(Path(job_file).read_text())
    environment = session("graph")
    options = {**OPTIONS, **kept(Path(job_file).parent), "parallelism.default": "1"}
    for key, value in options.items():
        environment.get_config().set(key, value)
    columns = ", ".join(f"`{name}` {kind}" for name, kind in job["columns"])
    environment.execute_sql(
        f"CREATE TEMPORARY TABLE records ({columns}) WITH ('connector' = 'filesystem', "
        f"'path' = 'file://{job['input']}', 'format' = 'json')"
    )
    create_views(environment, job["views"])
    statements = environment.create_statement_set()
    for folder, query in job["outputs"].items():
        sink = (
            TableDescriptor.for_connector("filesystem")
            .option("path", f"file://{folder}")
            .option("json.timestamp-format.standard", "ISO-8601")
            .format("json")
        )
        statements.add_insert(sink.build(), environment.sql_query(query))
    statements.execute().wait()


if __name__ == "__main__":
    main(sys.argv[1])
