"""Describe the answers of `/v1/inventory`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["known", "unknown"]

OPEN: dict[str, Any] = {
    "kind": "LOW_STOCK",
    "alert_id": "stock/461686/LOW_STOCK/0-812",
    "opened_at": "2026-05-01T11:58:02.000Z",
}
ITEM: dict[str, Any] = {
    "item_id": "461686",
    "state": "known",
    "level": 80.0,
    "negative": False,
    "at_risk": True,
    "as_of": "2026-05-01T12:00:00.000Z",
    "last_entry": {"entry_id": "sale/e-17", "kind": "sale", "quantity": 2},
    "terms": {
        "threshold": 100.0,
        "lead_days": 7.0,
        "pack": 12.0,
        "price": 4.5,
        "price_least": None,
        "price_most": 5.0,
    },
    "demand": {
        "sold_1h": 2.0,
        "sold_24h": 11.0,
        "sold_7d": 70.0,
        "sold_28d": 280.0,
        "as_of": "2026-05-01T12:00:00.000Z",
        "units_a_day": 10.0,
        "trend": 1.0,
        "days_known": 14.0,
    },
    "run_out": {
        "days": 8.0,
        "earliest": 6.0,
        "latest": 10.7,
        "at": "2026-05-09T12:00:00.000Z",
    },
    "alerts": [OPEN],
    "reorder": {"quantity": 96, "point": 87.2, "target": 168.4},
    "price_suggestion": {
        "is_suggestion": True,
        "price": 4.5,
        "least": 3.6,
        "most": 5.0,
        "reason": "stock lasts 8.0 days at 10.00 units a day, which suits a delivery time of 7",
    },
    "last_count": {
        "at": "2026-04-30T18:00:00.000Z",
        "counted": 91,
        "expected": 93.0,
        "difference": -2.0,
    },
    "late_units": 0.0,
    "forecast": None,
}


class Item(BaseModel):
    """An item as it stands; what time alone moves is as of the question."""

    model_config = ConfigDict(json_schema_extra={"example": ITEM})

    item_id: str
    state: State = Field(description="unknown before the first delivery or count")
    level: float | None = Field(description="units in stock; below 0: more was sold than came in")
    negative: bool = Field(description="the level is below 0: the book is wrong")
    at_risk: bool = Field(description="an alert is open, or the item is at one of its limits now")
    as_of: str = Field(description="when the entry was that the level is as of")
    last_entry: dict[str, Any] = Field(description="that entry")
    terms: dict[str, float | None] = Field(description="what is agreed, or the defaults")
    demand: dict[str, Any] = Field(
        description="units sold less those cancelled before `as_of`; units a day and trend now"
    )
    run_out: dict[str, Any] | None = Field(
        description="days until nothing is left, and within 80 %; null: not to be foreseen"
    )
    alerts: list[dict[str, str]] = Field(description="those that are open")
    reorder: dict[str, float] | None = Field(
        description="units to order now: 0 above the reorder point, else up to the target"
    )
    price_suggestion: dict[str, Any] | None = Field(
        description="a price to think about, and why; nobody has set it"
    )
    last_count: dict[str, Any] | None = Field(description="and what the book had")
    late_units: float = Field(description="units that came too late to be in the level")
    forecast: dict[str, Any] | None = Field(description="the newest, its age, and its run-out")


class Items(BaseModel):
    """A page of items, in the order of their ids."""

    items: list[Item]
    next: str | None = Field(description="to be asked for as `after`; null: nothing follows")


class OpenAlert(BaseModel):
    """An open alert of an item's stock."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**OPEN, "item_id": "461686", "level": 80.0}}
    )

    item_id: str
    kind: str = Field(description="LOW_STOCK, RUNS_OUT or NEGATIVE_STOCK")
    alert_id: str
    opened_at: str
    level: float | None = Field(description="the item's level now")


class Alerts(BaseModel):
    """A page of open alerts, by item."""

    alerts: list[OpenAlert]
    next: str | None = Field(description="to be asked for as `after`; null: nothing follows")
