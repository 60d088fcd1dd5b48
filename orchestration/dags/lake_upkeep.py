"""Look after the lake's tables every night: fewer files, old snapshots and orphans away."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, chain
from millrace_tasks import DEFAULTS, START, step

with DAG(
    "lake_upkeep",
    description="compact, expire, remove orphans, safe beside whatever writes meanwhile",
    schedule="0 1 * * *",
    start_date=START,
    # What a missed night left undone, the next one does.
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULTS,
    tags=["lake"],
    doc_md=__doc__,
) as dag:
    chain(
        step("compact", "lake", "compact", "--json", minutes=60),
        step("expire", "lake", "expire", "--json"),
        step("orphans", "lake", "orphans", "--json", minutes=60),
    )
