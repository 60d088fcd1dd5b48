"""Define the requests and responses of the fraud routes: validation and the OpenAPI page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


def _addressable(name: str) -> str:
    if name in {".", ".."}:
        raise PydanticCustomError(
            "unaddressable", "'.' and '..' cannot be ids: clients remove them from a look-up's path"
        )
    return name


def in_calendar(moment: datetime) -> datetime:
    """Return the moment. Raise PydanticCustomError for one outside the years 1 to 9999 in UTC."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("no_date", "lies outside the years 1 to 9999 in UTC") from None
    return moment


Identifier = Annotated[str, Field(min_length=1, max_length=200)]
Addressable = Annotated[Identifier, AfterValidator(_addressable)]
Decision = Literal["approve", "review", "block"]

SCORE: dict[str, Any] = {
    "transaction_id": "tx-42",
    "customer_id": "c-7",
    "terminal_id": "t-3",
    "event_time": "2026-05-01T12:00:00.000Z",
    "amount": 812.5,
    "score": 0.83,
    "decision": "block",
    "reasons": ["customer_ratio_30d", "terminal_risk_7d"],
    "explanations": [
        "Amount is 4.2 times this customer's 30-day mean",
        "Share of fraud among the verdicts that became known within the last 7 days: 60 %",
    ],
    "model_version": "fraud-1-3f9a0c1b2d4e",
    "model_decision": "block",
    "rules_version": "rules-5d1c0b9a8e7f",
    "rules": [],
    "shadow_rules": ["terminal-of-fraud"],
    "listed": [],
    "lists_offset": 41,
    "feature_set_version": "fraud-1a2b3c4d",
    "late": False,
    "sequence": 1007,
    "produced_at": "2026-05-01T12:00:00.120Z",
    "features_at": "2026-05-01T12:00:00.125Z",
    "scored_at": "2026-05-01T12:00:00.128Z",
}

REVIEW: dict[str, Any] = {**SCORE, "score": 0.41, "decision": "review"}
VERDICT: dict[str, Any] = {
    "fraud": True,
    "note": "card was stolen",
    "known_at": "2026-05-02T08:30:00.000Z",
}
FEATURE: dict[str, Any] = {
    "name": "customer_ratio_30d",
    "value": 4.2,
    "text": "Amount is 4.2 times this customer's 30-day mean",
}


class Transaction(BaseModel):
    """A card payment to decide on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "transaction_id": "tx-42",
                "customer_id": "c-7",
                "terminal_id": "t-3",
                "amount": 812.5,
            }
        },
    )

    transaction_id: Addressable = Field(
        description="unique for ever: asking again gives the stored decision, "
        "another payment under it is refused (409)"
    )
    customer_id: Addressable = Field(description="who pays")
    terminal_id: Identifier = Field(description="where")
    amount: float = Field(strict=True, allow_inf_nan=False, description="negative for a refund")
    event_time: Annotated[AwareDatetime, AfterValidator(in_calendar)] | None = Field(
        None,
        description="when it was made, with its zone; now if absent. "
        "Better sent, and the same in every repetition: "
        "then repeating is safe with any API process",
    )


class Score(BaseModel):
    """A decision on a payment."""

    model_config = ConfigDict(json_schema_extra={"example": SCORE})

    transaction_id: str
    customer_id: str
    terminal_id: str
    event_time: str = Field(description="when the payment was made")
    amount: float
    score: float = Field(ge=0, le=1, description="probability of fraud by the model")
    decision: Decision = Field(
        description="block for a blocked entity; else the strongest of the model's (approve for a "
        "trusted one) and of the actions of active rules"
    )
    reasons: list[str] = Field(
        description="lists that block, active rules that hit, as rule:NAME, then features that "
        "pushed the score up most; empty for approve"
    )
    explanations: list[str] = Field([], description="each reason as a sentence, in their order")
    model_version: str
    model_decision: str = Field("", description="by the model alone; empty in older decisions")
    rules_version: str = Field("", description="of the rules that were applied; empty: none")
    rules: list[str] = Field([], description="active rules that hit")
    shadow_rules: list[str] = Field([], description="rules on trial that hit and decided nothing")
    listed: list[str] = Field([], description="lists that its customer or terminal was on")
    lists_offset: int = Field(-1, description="place up to which the lists were known")
    feature_set_version: str
    late: bool = Field(
        description="the event was older than every window of its customer or its terminal"
    )
    sequence: int
    produced_at: str
    features_at: str
    scored_at: str


class Customer(BaseModel):
    """A customer's decisions."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"customer_id": "c-7", "latest": SCORE, "recent": [SCORE]}}
    )

    customer_id: str
    latest: Score = Field(description="of the newest payment, by event time")
    recent: list[Score] = Field(description="of the newest 50 payments, newest first")


class Judgement(BaseModel):
    """A person's verdict on a payment."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"fraud": True, "note": "card was stolen"}}
    )

    fraud: bool = Field(strict=True)
    note: str = Field("", max_length=1000, description="why, for whoever looks next")
    revise: bool = Field(
        False, strict=True, description="replace the opposite verdict, if there is one"
    )


class Known(BaseModel):
    """The verdict on a payment that counts."""

    model_config = ConfigDict(json_schema_extra={"example": VERDICT})

    fraud: bool
    note: str
    known_at: str = Field(description="when it was given")


class Verdict(Known):
    """A verdict with its payment."""

    model_config = ConfigDict(json_schema_extra={"example": {"transaction_id": "tx-42", **VERDICT}})

    transaction_id: str


class Reviews(BaseModel):
    """A page of the queue."""

    model_config = ConfigDict(json_schema_extra={"example": {"reviews": [REVIEW], "next": None}})

    reviews: list[Score]
    next: str | None = Field(description="cursor of the page after, null on the last")


class FeatureValue(BaseModel):
    """A feature as it was when the payment was made."""

    name: str
    value: float | None
    text: str = Field(description="the same as a sentence")


class Case(BaseModel):
    """A payment with its decision, features and verdict."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"payment": REVIEW, "verdict": None, "features": [FEATURE]},
        }
    )

    payment: Score
    verdict: Known | None = Field(description="null as long as there is none")
    features: list[FeatureValue] = Field(
        description="those that the model may read; none of an approved payment"
    )


class Paid(Score):
    """A payment of a customer with its verdict."""

    model_config = ConfigDict(json_schema_extra={"example": {**SCORE, "verdict": VERDICT}})

    verdict: Known | None


class History(BaseModel):
    """A customer's recent payments."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"customer_id": "c-7", "payments": [{**SCORE, "verdict": VERDICT}]}
        }
    )

    customer_id: str
    payments: list[Paid] = Field(description="newest first, at most 50")


class Pending(BaseModel):
    """Taken, not decided yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "transaction_id": "tx-42",
                "status": "pending",
                "location": "/v1/fraud/transactions/tx-42",
            }
        }
    )

    transaction_id: str
    status: Literal["pending"]
    location: str = Field(description="where the decision will be")
