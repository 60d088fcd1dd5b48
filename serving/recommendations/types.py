"""What is asked of recommendations over HTTP, and what is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestration.recommendations.engine.item import Wish

Id = Annotated[str, Field(min_length=1, max_length=256)]
ASKED: dict[str, Any] = {"items": ["461686", "10572"], "limit": 3, "repeats": False}
ITEM: dict[str, Any] = {"item": "218794", "score": 1.7324, "reason": "bought after 10572"}


class Asked(BaseModel):
    """A session in hand."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": ASKED})

    items: list[Id] = Field(max_length=200, description="what was clicked, the newest last")
    actions: list[Literal["view", "addtocart", "transaction"]] | None = Field(
        default=None, description="what each click was; a view if not given"
    )
    limit: int = Field(default=10, ge=1, le=100, description="how many items")
    repeats: bool = Field(default=True, description="whether items of the session may be listed")
    diversity: float = Field(default=0.0, ge=0, le=1, description="0: the best, 1: the most varied")
    category: Id | None = Field(
        default=None, description="for a session without items: what is popular in this category"
    )

    @property
    def wish(self) -> Wish:
        """Return what the list is to be."""
        return Wish(self.limit, self.repeats, self.diversity)

    @property
    def mistake(self) -> str | None:
        """Return what does not fit together, None if all does."""
        if self.actions is not None and len(self.actions) != len(self.items):
            return f"{len(self.items)} items, but {len(self.actions)} actions"
        return None


class Recommended(BaseModel):
    """A recommended item."""

    model_config = ConfigDict(json_schema_extra={"example": ITEM})

    item: str
    score: float = Field(description="compares within a list alone")
    reason: str = Field(
        description="seen after ITEM, bought after ITEM, seen (in this session), "
        "popular, or popular CATEGORY"
    )


class Answer(BaseModel):
    """Items, the best first."""

    items: list[Recommended]


class VisitorList(Answer):
    """A visitor's list as it was made after the newest click."""

    user_id: str
    session_id: str | None = Field(default=None, description="null for a visitor without a session")
    event_time: str | None = Field(default=None, description="of the session's newest click")
    clicks: int = Field(default=0, description="clicks of the session")
    computed_at: str | None = None


class Hits(BaseModel):
    """An hour of event time."""

    hour: str = Field(description="its beginning")
    clicks: int = Field(description="clicks of visitors who had a list")
    hits: int = Field(description="of these, how many were on an item of the list")
    hit_rate: float


class HitRate(BaseModel):
    """Hours, newest first."""

    hours: list[Hits]
