"""Retry while a dependency is away: one policy for the pauses, one loop.

A loop of ours rather than a library's: the consumer's thread must serve its group while it waits,
and a step that succeeds at once, as nearly all do, may cost a microsecond at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `first` seconds to `most`; `attempts` calls at most, None: no end."""

    first: float
    most: float
    attempts: int | None = None

    def pauses(self) -> Iterator[float]:
        """Yield the pause before each further attempt.

        >>> list(Backoff(0.5, 2.0, attempts=5).pauses())
        [0.5, 1.0, 2.0, 2.0]
        """
        pause = self.first
        for _ in count() if self.attempts is None else range(self.attempts - 1):
            yield pause
            pause = min(pause * 2, self.most)

    def after(self, failures: int) -> float:
        """Return the pause after that many failures in a row, counted from 1."""
        # The exponent is bounded, for failures may be many and the result is.
        return min(self.first * 2.0 ** min(failures - 1, 64), self.most)


def retry(
    step: Callable[[], T],
    pauses: Callable[[], Iterable[float]],
    wait: Callable[[float, Exception], None],
    *errors: type[Exception],
) -> T:
    """Return what `step` returns, calling it again while it raises one of `errors`.

    `wait` gets each pause in seconds with the error, and may raise to give up. When the pauses are
    used up the last error is raised.
    """
    try:
        return step()
    except errors as error:
        last = error
    for pause in pauses():
        wait(pause, last)
        try:
            return step()
        except errors as error:
            last = error
    raise last
