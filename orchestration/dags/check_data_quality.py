"""Check what the day before its logical date brought into the lake."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from millrace_tasks import DEFAULTS, MOMENT, START, step

with DAG(
    "check_data_quality",
    description="every check declared beside the contracts, of all tables of bronze",
    schedule="30 2 * * *",
    start_date=START,
    # A day that was missed is checked by `airflow backfill create`.
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args=DEFAULTS,
    tags=["lake", "quality"],
    doc_md=__doc__,
) as dag:
    # Data that do not pass do not get better by asking again.
    step(
        *("checks", "lake", "checks", "--days", "1", "--at", MOMENT, "--json"),
        minutes=60,
        retries=0,
    )
