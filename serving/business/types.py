"""Describe what `/v1/metrics/business` answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Length = Literal["1m", "5m", "1h"]

EXAMPLE: dict[str, Any] = {
    "window": "1h",
    "window_start": "2026-05-01T12:00:00.000Z",
    "window_end": "2026-05-01T13:00:00.000Z",
    "orders": 31,
    "gmv": 1297.5,
    "gmv_minor": 129750,
    "average_order_value": 41.85,
    "unpriced_lines": 0,
    "active_visitors": 410,
    "buyers": 30,
    "conversion": 0.0731707,
    "events": 1180,
    "viewed": 402,
    "carted": 60,
    "purchased": 28,
    "path_conversion": 0.0696517,
    "sessions": 433,
    "sessions_viewed": 420,
    "sessions_carted": 58,
    "sessions_purchased": 26,
    "session_conversion": 0.0619048,
    "payments": 900,
    "payments_reviewed": 11,
    "payments_blocked": 4,
    "fraud_rate": 0.0044444,
    "paid_minor": 4500000,
    "blocked_minor": 61000,
    "items_sold": 44,
    "top_items": [{"item_id": "461686", "units": 5, "gmv_minor": 24500, "category": "1037"}],
    "top_categories": [{"category": "1037", "units": 5, "gmv_minor": 24500}],
    "closed": True,
    "revision": 1,
    "corrected_at": "2026-05-01T13:04:10.120Z",
    "shown": {"orders": 30, "gmv_minor": 127250, "events": 1178, "payments": 900},
    "band": {
        "gmv_minor": {"low": 80000.0, "median": 120000.0, "high": 160000.0, "days": 28},
        "path_conversion": {"low": 0.04, "median": 0.07, "high": 0.1, "days": 28},
        "fraud_rate": None,
    },
}


class TopItem(BaseModel):
    """An item sold in a window."""

    item_id: str
    units: int
    gmv_minor: int
    category: str | None = Field(description="as the shop has it now; null where not known")


class TopCategory(BaseModel):
    """Items of a category sold in a window."""

    category: str | None = Field(description="null: of items without a known one")
    units: int
    gmv_minor: int


class Shown(BaseModel):
    """The figures of a window as they were told when it closed."""

    orders: int
    gmv_minor: int
    events: int
    payments: int


class Usual(BaseModel):
    """The usual values of a figure, from the same time of the days before."""

    low: float = Field(description="median less 3.5 robust deviations, 0 at least")
    median: float
    high: float = Field(description="median and 3.5 robust deviations")
    days: int = Field(description="from so many of the last 28 days")


class Usuals(BaseModel):
    """The band of each figure that has one: null with fewer than 7 days."""

    gmv_minor: Usual | None
    path_conversion: Usual | None
    fraud_rate: Usual | None


class Window(BaseModel):
    """A window of the shop."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    window: Length
    window_start: str = Field(description="inclusive")
    window_end: str = Field(description="exclusive")
    orders: int = Field(description="distinct orders, by visitor")
    gmv: float = Field(description="gmv_minor / 100")
    gmv_minor: int = Field(description="unit prices in minor units times quantity, exact")
    average_order_value: float | None = Field(description="gmv over orders")
    unpriced_lines: int = Field(
        description="order lines without a price, or of more than 1e12, not in gmv"
    )
    active_visitors: int = Field(description="distinct visitors with any event")
    buyers: int = Field(description="distinct visitors with an order")
    conversion: float | None = Field(description="buyers over active visitors")
    events: int = Field(description="all events")
    viewed: int = Field(description="visitors with a view")
    carted: int = Field(description="those of them with a cart after it")
    purchased: int = Field(description="those of them with an order after that")
    path_conversion: float | None = Field(description="purchased over viewed")
    sessions: int = Field(description="visits within the window, half an hour apart")
    sessions_viewed: int = Field(description="sessions with a view")
    sessions_carted: int = Field(description="those of them with a cart after it")
    sessions_purchased: int = Field(description="those of them with an order after that")
    session_conversion: float | None = Field(description="sessions_purchased / sessions_viewed")
    payments: int = Field(description="payments scored")
    payments_reviewed: int = Field(description="those of them to review")
    payments_blocked: int = Field(description="those of them blocked")
    fraud_rate: float | None = Field(description="payments_blocked over payments")
    paid_minor: int = Field(description="amount of the payments")
    blocked_minor: int = Field(description="amount of those blocked")
    items_sold: int = Field(description="how many different items")
    top_items: list[TopItem] = Field(description="by gmv, then units")
    top_categories: list[TopCategory] = Field(description="of the 100 best items")
    closed: bool = Field(description="whether a minute well after its end has events")
    revision: int = Field(description="corrections since it was shown closed")
    corrected_at: str | None = Field(description="when the last correction was told")
    shown: Shown | None = Field(description="what it held before the first correction")
    band: Usuals | None = Field(description="null where it is not asked for")


class Windows(BaseModel):
    """Windows, newest first."""

    window: Length
    windows: list[Window]
    next: str | None = Field(description="`to` of the next page")
