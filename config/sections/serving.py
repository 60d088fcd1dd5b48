"""Declare what the API and consumers allow and keep, and what decisions cost."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class Serving(BaseModel):
    """Settings of the API, the consumers and their decisions."""

    api_keys: SecretStr = Field(
        default=SecretStr(""),
        description="comma-separated keys; empty: the stack makes one, in state_dir",
    )
    airflow_password: SecretStr = Field(
        default=SecretStr(""),
        description="of Airflow's user admin; empty: the stack makes one, in state_dir",
    )
    api_requests_per_second: int = Field(
        default=2000, ge=1, description="that each key may make of an API process"
    )
    api_max_body_bytes: int = Field(
        default=16_384, ge=256, description="of a POST; a longer one is answered 413"
    )
    score_deadline_ms: int = Field(
        default=1000, ge=1, description="default deadline_ms of POST /v1/fraud/transactions"
    )
    decisions_kept_days: int = Field(
        default=90, ge=1, description="how long Redis keeps a decision on a payment"
    )
    recommendations_sessions: int = Field(
        default=200_000, ge=1000, description="most recent sessions that recommendations rest on"
    )
    recommendations_items: int = Field(
        default=400_000, ge=1000, description="different items that recommendations know at most"
    )
    recommendations_visitors: int = Field(
        default=100_000, ge=1, description="visitors whose lists are kept fresh between clicks"
    )
    recommendations_kept_days: int = Field(
        default=7, ge=1, description="how long Redis keeps a visitor's list"
    )
    fraud_thresholds: Literal["targets", "cost"] = Field(
        default="targets",
        description="how training chooses a fraud model's thresholds: by targets of precision and "
        "review rate, or by what decisions cost",
    )
    fraud_cost_review: float = Field(
        default=4.0, ge=0, description="of a payment that people look at, in the amounts' currency"
    )
    fraud_cost_blocked: float = Field(
        default=20.0, ge=0, description="of a genuine payment that is blocked"
    )
    fraud_cost_passed: float = Field(
        default=1.0, ge=0, description="of a fraud that is approved, as a share of its amount"
    )
    fraud_least_precision: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="of blocked payments with a verdict; an alert tells when it is lower",
    )
    anomalies_database_url: SecretStr = Field(
        default=SecretStr(""),
        description="where detections are kept: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/"
        "NAME; empty: SQLite in state_dir",
    )
    anomalies_max_body_bytes: int = Field(
        default=4_194_304, ge=256, description="of a POST that brings windows of features"
    )
    anomalies_kept_days: int = Field(
        default=90, ge=1, description="how long a detection is kept, from when it was made"
    )
