"""Whoever asks goes before whoever learns."""

from __future__ import annotations

import threading

from serving.recommendations.turns import MOST_PAUSES, Turns


def test_a_question_goes_before_what_is_learnt_next() -> None:
    order: list[str] = []
    asked, done = threading.Event(), threading.Event()

    def pause(_: float) -> None:
        done.wait(20)  # the question has its turn while the learner pauses

    turns = Turns(pause)

    def ask() -> None:
        asked.set()
        with turns.asking:
            order.append("question")
        done.set()

    with turns:
        thread = threading.Thread(target=ask)
        thread.start()
        asked.wait(20)
        while not turns._waiting:
            pass
        order.append("first")
    with turns:
        order.append("second")
    thread.join()
    assert order == ["first", "question", "second"]


def test_questions_without_end_do_not_keep_it_from_learning() -> None:
    pauses: list[float] = []
    turns = Turns(pauses.append)
    turns._waiting = True
    with turns:
        assert len(pauses) == MOST_PAUSES
