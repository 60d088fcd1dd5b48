"""Define the responses of the routes of orders: validation and the OpenAPI page."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Decision = Literal["approve", "review", "block"]

LINE: dict[str, Any] = {
    "order_id": "o-42",
    "event_id": "e-1001",
    "user_id": "v-7",
    "item_id": "461686",
    "event_time": "2026-05-01T12:00:00.000Z",
    "score": 0.91,
    "decision": "block",
    "reasons": ["visitor_cards_30m"],
    "explanations": [
        "Distinct cards in the visitor's orders within the last 30 minutes (exact below 16): 7"
    ],
    "model_version": "orders-1a2b3c4d-3f9a0c1b2d4e",
    "feature_set_version": "orders-1a2b3c4d",
    "late": False,
    "sequence": 1007,
    "produced_at": "2026-05-01T12:00:00.120Z",
    "features_at": "2026-05-01T12:00:00.125Z",
    "scored_at": "2026-05-01T12:00:00.128Z",
}


class Line(BaseModel):
    """A decision on an order line."""

    model_config = ConfigDict(json_schema_extra={"example": LINE})

    order_id: str
    event_id: str = Field(description="the line: an event of shop-events")
    user_id: str
    item_id: str
    event_time: str = Field(description="when it was ordered")
    score: float = Field(ge=0, le=1, description="probability of fraud by the model")
    decision: Decision
    reasons: list[str] = Field(description="features that pushed the score up most")
    explanations: list[str] = Field(description="each reason as a sentence, in their order")
    model_version: str
    feature_set_version: str
    late: bool
    sequence: int
    produced_at: str
    features_at: str
    scored_at: str


class Order(BaseModel):
    """The decision on an order: the strongest of those on its lines."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"order_id": "o-42", "decision": "block", "score": 0.91, "lines": [LINE]}
        }
    )

    order_id: str
    decision: Decision
    score: float = Field(description="the highest of its lines")
    lines: list[Line] = Field(description="newest first, 200 at most")


class Flagged(BaseModel):
    """Order lines to review or blocked, newest first."""

    lines: list[Line]
