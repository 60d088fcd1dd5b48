"""What is asked of a list, and what it consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Item(NamedTuple):
    """A recommended item.

    `why` is `seen after` or `bought after` the item `of`; or, with an empty `of`, `seen` (it was
    clicked in this session) or `popular`, overall or in the category `of`. Scores compare within a
    list alone.
    """

    item: str
    score: float
    why: str
    of: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a list is to be: how long, with items of the session itself or without, how diverse.

    `diversity`: 0 is the best items, 1 the most different ones of the best candidates.
    """

    limit: int = 10
    repeats: bool = True
    diversity: float = 0.0
