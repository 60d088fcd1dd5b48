"""Retrain the fraud model every night, and promote it only through the gate."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, chain
from millrace_tasks import DEFAULTS, MOMENT, START, step

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
    at = ("fraud", "--at", MOMENT)
    chain(
        # Data that do not pass do not get better by asking again.
        step("check", "retrain", "check", *at, retries=0),
        step("extract", "retrain", "extract", *at, minutes=60),
        step("validate", "retrain", "validate", *at, retries=0),
        step("train", "retrain", "train", *at, minutes=60),
        step("evaluate", "retrain", "evaluate", *at),
        step("register", "retrain", "register", *at),
        step("promote", "retrain", "promote", *at),
        step("confirm", "retrain", "confirm", "fraud"),
    )
