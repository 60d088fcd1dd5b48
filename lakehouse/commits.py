"""Commit beside other writers: once more, on what they have left, when one of them came first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.table import Table

T = TypeVar("T")
TRIES = 20
PAUSE_S = 0.5


def retried(
    table: Table, commit: Callable[[], T], sleep: Callable[[float], None] = time.sleep
) -> T:
    """Return what `commit` returns; it is called again, on the table as it then is, if it failed.

    Raise CommitFailedException if others always came first.
    """
    for tried in range(1, TRIES + 1):
        try:
            return commit()
        except (CommitFailedException, ValidationException) as error:
            if tried == TRIES:
                words = f"{'.'.join(table.name())}: others wrote again and again"
                raise CommitFailedException(words) from error
        sleep(PAUSE_S)
        table.refresh()
    raise AssertionError("unreachable")
