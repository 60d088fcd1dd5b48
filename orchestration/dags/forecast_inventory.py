"""Forecast the shop's demand every night from the lake, and write it to Kafka."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from millrace_tasks import DEFAULTS, MOMENT, START, step

with DAG(
    "forecast_inventory",
    description="units of each item over 7, 14 and 28 days, from the lake's sales",
    schedule="30 3 * * *",
    start_date=START,
    # The newest forecast is the one that counts, so no night is made up for.
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULTS,
    tags=["shop", "forecasts"],
    doc_md=__doc__,
) as dag:
    # A shop that has just begun is no failure: the result says why there is nothing yet.
    step(
        *("forecast", "forecast", "inventory", "--at", MOMENT, "--if-possible", "--json"),
        minutes=50,
    )
