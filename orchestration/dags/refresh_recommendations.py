"""Learn the order of recommendations anew every night, and promote it only through the gate."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, chain
from millrace_tasks import DEFAULTS, START, retraining

with DAG(
    "refresh_recommendations",
    description="from sessions in the lake to the order of recommendations, through the gate",
    schedule="0 4 * * *",
    start_date=START,
    # As with every retraining: the next night sees a missed night's data, too.
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULTS,
    tags=["shop", "training"],
    doc_md=__doc__,
) as dag:
    chain(*retraining("recommender"))
