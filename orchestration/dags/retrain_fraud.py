"""Retrain the fraud model every night, and promote it only through the gate."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, chain
from millrace_tasks import DEFAULTS, START, retraining

with DAG(
    "retrain_fraud",
    description="from a check of the lake to a model that scores, through the gate",
    schedule="0 3 * * *",
    start_date=START,
    # A night that was missed is not made up for by itself, as the next one sees its data, too;
    # `airflow backfill create` does so.
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULTS,
    tags=["fraud", "training"],
    doc_md=__doc__,
) as dag:
    chain(*retraining("fraud"))
