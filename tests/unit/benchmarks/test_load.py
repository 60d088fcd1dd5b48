"""What the load says of a server that does not answer: failed, and later than any other."""

from __future__ import annotations

import math
import socket
import threading
from collections import Counter

import pytest

from benchmarks.load import Outcome, get, run

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def answer(listener: socket.socket, times: int) -> None:
    """Answer one connection's first `times` requests, then go silent until it is closed."""
    connection, _ = listener.accept()
    with connection:
        while connection.recv(65536):
            if times > 0:
                connection.sendall(ANSWER)
            times -= 1


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    outcome = Outcome(latencies=[number / 1000 for number in range(1000, 0, -1)])
    assert outcome.milliseconds(0, 50, 99, 99.9, 100) == pytest.approx([1, 500, 990, 999, 1000])


def test_requests_without_answer_are_later_than_every_answer() -> None:
    outcome = Outcome(latencies=[0.001] * 98, unanswered=2)
    assert outcome.milliseconds(50, 98, 99) == [1, 1, math.inf]


def test_no_answer_at_all_is_infinitely_late() -> None:
    assert Outcome(unanswered=3).milliseconds(1) == [math.inf]


def test_there_are_no_percentiles_of_nothing() -> None:
    with pytest.raises(ValueError, match="no requests"):
        Outcome().milliseconds(50)


def test_what_is_not_answered_well_has_failed() -> None:
    outcome = Outcome([0.1] * 6, Counter({200: 3, 202: 1, 503: 2}), unanswered=4)
    assert (outcome.requests, outcome.failed(200), outcome.failed(200, 202)) == (10, 7, 6)


def test_outcomes_add_up_with_what_was_not_answered() -> None:
    whole = Outcome([0.1], Counter({200: 1}), unanswered=1)
    whole.add(Outcome([0.2], Counter({500: 1}), unanswered=2))
    assert whole == Outcome([0.1, 0.2], Counter({200: 1, 500: 1}), unanswered=3)


@pytest.mark.slow
def test_a_server_that_goes_silent_leaves_the_rest_unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer, args=(listener, 3))
        server.start()
        address = listener.getsockname()
        request = get("127.0.0.1", "/")
        outcome = run(
            address, lambda _: request, rate=100, seconds=0.1, connections=1, patience=0.5
        )
        server.join()
    assert (outcome.statuses, outcome.unanswered, outcome.requests) == (Counter({200: 3}), 7, 10)
