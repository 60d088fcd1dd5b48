"""Describe the requests and answers of `/v1/anomalies`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.alerts.episodes import Criticality

MOST = 1000
"""Windows in one request."""
WINDOW: dict[str, Any] = {
    "sensor_id": "boiler-7",
    "asset_id": "boiler",
    "timestamp": "2025-11-30T07:00:00.000Z",
    "criticality": "high",
    "features": {"mean": 31.2, "max": 44.0, "p99": 43.1},
}
EXPLAINED: dict[str, Any] = {"feature": "max", "value": 44.0, "usual": 22.0, "contribution": 4.1}
DETECTION: dict[str, Any] = {
    **WINDOW,
    "detection_id": "4f0c6a0b8d4b4b0f9c6a2f3f0d5b1c77",
    "detected_at": "2025-11-30T07:05:01.250Z",
    "score": 0.93,
    "threshold": 0.36,
    "is_anomaly": True,
    "model_version": "combined-580c4854b0cd",
    "detectors": {"iforest": 0.88, "ocsvm": 0.97},
    "explanation": [EXPLAINED],
}
MODEL: dict[str, Any] = {
    "version": "combined-580c4854b0cd",
    "state": "current",
    "published": "2025-11-29T20:11:03.000Z",
    "detector": "combined",
    "features": ["mean", "max", "p99"],
    "thresholds": {"low": 0.6, "normal": 0.5, "high": 0.36},
    "sha256": {"model.onnx": "9b0f…"},
    "data": {"source": "windows.parquet", "sha256": "77c1…", "windows": 20160},
    "trouble": "",
}
COUNTS: dict[str, Any] = {"detections": 4032, "anomalies": 40, "mean_score": 0.11}

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Value = Annotated[float, Field(allow_inf_nan=False)]


class Window(BaseModel):
    """The features of a sensor's window."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": WINDOW})

    sensor_id: Name
    asset_id: Name | None = None
    timestamp: AwareDatetime | None = Field(
        default=None, description="of the window: ISO 8601 with a zone, or ms; now if absent"
    )
    criticality: Criticality = Field(
        default="normal", description="the more critical, the lower the threshold"
    )
    features: dict[str, Value | None] = Field(
        description="every feature of the model by name (see /status); null: unknown, for which "
        "the usual value stands"
    )


class Batch(BaseModel):
    """Windows to judge."""

    model_config = ConfigDict(extra="forbid")

    windows: list[Window] = Field(min_length=1, max_length=MOST)


class Contribution(BaseModel):
    """What a feature adds to the log odds, beside its usual value."""

    model_config = ConfigDict(json_schema_extra={"example": EXPLAINED})

    feature: str
    value: float | None = Field(description="null: unknown")
    usual: float = Field(description="the median of training")
    contribution: float = Field(
        description="by how much the log odds of an anomaly fall with the usual value in its place"
    )


class Detection(BaseModel):
    """The judgement on a window."""

    model_config = ConfigDict(json_schema_extra={"example": DETECTION}, protected_namespaces=())

    detection_id: str
    sensor_id: str
    asset_id: str | None
    timestamp: str
    detected_at: str
    criticality: Criticality
    score: float = Field(description="0 to 1; 0.5 is the 99 % quantile of training")
    threshold: float = Field(description="of this criticality")
    is_anomaly: bool
    model_version: str
    detectors: dict[str, float] = Field(description="the score of each detector alone")
    features: dict[str, float | None]
    explanation: list[Contribution] = Field(
        description="features by how much they add, the greatest first; of a batch, anomalies only"
    )


class Detections(BaseModel):
    """The judgements on a batch, in its order."""

    detections: list[Detection]
    anomalies: int


class Found(BaseModel):
    """A page of the history, the newest window first."""

    detections: list[Detection]
    total: int | None = Field(description="that the filters find; null on pages by cursor")
    next_cursor: str | None = Field(description="of the next page; null: this is the last")


class Model(BaseModel):
    """A version on the shelf."""

    model_config = ConfigDict(json_schema_extra={"example": MODEL})

    version: str
    state: str = Field(description="current, promoted before, withdrawn, or published only")
    published: str | None
    detector: str | None
    features: list[str]
    thresholds: dict[str, float]
    sha256: dict[str, str] = Field(description="of its files; others are not loaded")
    data: dict[str, Any] = Field(description="what it was trained on")
    trouble: str = Field(description="why its card cannot be read")


class Models(BaseModel):
    """Versions, the newest first."""

    models: list[Model]


class Status(BaseModel):
    """Whether windows can be judged, and by what."""

    ready: bool
    trouble: str = Field(description="why not, or why a newer model was refused")
    model: Model | None
    detections: int = Field(description="in the history")


class Counts(BaseModel):
    """Of a group of detections."""

    model_config = ConfigDict(json_schema_extra={"example": COUNTS})

    detections: int
    anomalies: int
    mean_score: float


class Figures(BaseModel):
    """What was detected in the last hours."""

    hours: int
    detections: int
    anomalies: int
    anomaly_rate: float | None = Field(description="anomalies by detections; null: none")
    by_criticality: dict[str, Counts]
    by_model: dict[str, Counts]
    by_sensor: dict[str, Counts] = Field(description="those with most anomalies, ten at most")
