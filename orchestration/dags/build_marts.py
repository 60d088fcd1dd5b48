"""Bring silver and gold up to date with what has come into the lake, every hour, and test them."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from millrace_tasks import DEFAULTS, START, step

with DAG(
    "build_marts",
    description="silver and gold by dbt, and its tests; writes nothing if nothing has come",
    schedule="10 * * * *",
    start_date=START,
    # A run takes all that has come since the last one, so no hour has to be made up for.
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULTS,
    tags=["lake"],
    doc_md=__doc__,
) as dag:
    step("build", "marts", "build", "--json", minutes=50)
