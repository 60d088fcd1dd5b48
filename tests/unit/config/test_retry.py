from __future__ import annotations

import itertools

import pytest

from config.retry import Backoff, retry


class Step:
    """Fails so many times, then returns."""

    def __init__(self, failures: int, error: type[Exception] = OSError) -> None:
        self.calls, self._failures, self._error = 0, failures, error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error(f"call {self.calls}")
        return "done"


def test_pauses_double_to_the_most_and_end_with_the_attempts() -> None:
    assert list(Backoff(0.1, 0.5, attempts=5).pauses()) == [0.1, 0.2, 0.4, 0.5]
    assert list(Backoff(0.1, 0.5, attempts=1).pauses()) == []
    assert list(itertools.islice(Backoff(1, 3).pauses(), 4)) == [1, 2, 3, 3]


def test_after_so_many_failures() -> None:
    assert [Backoff(2, 60).after(failures) for failures in (1, 2, 5, 6, 10_000)] == [
        2,
        4,
        32,
        60,
        60,
    ]


def test_a_step_is_tried_again_while_it_raises_what_is_named() -> None:
    waited: list[tuple[float, str]] = []
    step = Step(2)
    pauses = Backoff(1, 9, attempts=3).pauses
    assert retry(step, pauses, lambda pause, e: waited.append((pause, str(e))), OSError) == "done"
    assert waited == [(1, "call 1"), (2, "call 2")]


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    step = Step(9)
    with pytest.raises(OSError, match="call 3"):
        retry(step, Backoff(1, 9, attempts=3).pauses, lambda *_: None, OSError)
    assert step.calls == 3


def test_other_errors_go_up_at_once() -> None:
    step = Step(1, KeyError)
    with pytest.raises(KeyError):
        retry(step, Backoff(1, 9).pauses, lambda *_: None, OSError)
    assert step.calls == 1


def test_whoever_waits_may_give_up() -> None:
    def give_up(_: float, error: Exception) -> None:
        raise RuntimeError("stopped") from error

    with pytest.raises(RuntimeError, match="stopped"):
        retry(Step(1), Backoff(1, 9).pauses, give_up, OSError)
