"""Declare what a retraining reads, and what a new model must reach."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class Retraining(BaseModel):
    """Settings of retraining."""

    retrain_days: int = Field(
        default=90, ge=1, description="of data that a retraining reads, up to its logical date"
    )
    retrain_verdict_days: int = Field(
        default=7,
        ge=1,
        description="within which a verdict must come after its payment for a model to learn of it",
    )
    retrain_rows: int = Field(
        default=5000, ge=1, description="least rows held out for the gate; a quarter of the data"
    )
    retrain_frauds: int = Field(default=50, ge=1, description="least frauds among those rows")
    retrain_questions: int = Field(
        default=1000, ge=1, description="least questions held out for the gate of recommendations"
    )
    retrain_worse_by: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="by how much a new model's metrics may lie below those of the one in use",
    )
    retrain_surely_worse: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="whether a new model that is surely worse, however little, may come into use",
    )
    retrain_data: Path | None = Field(
        default=None,
        description="files with the Fraud Detection Handbook's columns, instead of the lake",
    )
    retrain_vectors: Literal["logged", "backfilled"] = Field(
        default="logged",
        description="of the lake: those that the job logged, or history by `millrace backfill` too",
    )
    mlflow_tracking_uri: str = Field(
        default="", description="MLflow's tracking store; empty: SQLite in state_dir"
    )
