"""Generate an open-loop HTTP load: requests leave when due, whether or not earlier ones returned.

Latency counts from the time a request was due, not from when it could be sent: a stalled server is
charged for all that waited (no coordinated omission; Tene, "How NOT to Measure Latency"). Two
threads and blocking sockets, since an event loop's timer is coarse to a millisecond and a thread's
sleep to 0.1.
"""

from __future__ import annotations

import itertools
import math
import queue
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """Latencies in seconds of the answered requests, as they arrived, and counts of statuses."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0

    def milliseconds(self, *percentiles: float) -> list[float]:
        """Return percentiles of the latency in ms, by nearest rank.

        A request without answer counts as infinitely late. Raise ValueError if none was due.
        """
        if not self.requests:
            raise ValueError("no requests, so no percentiles")
        ordered = [*sorted(self.latencies), *itertools.repeat(math.inf, self.unanswered)]
        return [
            ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)] * 1000 for rank in percentiles
        ]

    @property
    def requests(self) -> int:
        """All requests that were due, answered or not."""
        return len(self.latencies) + self.unanswered

    def failed(self, *good: int) -> int:
        """Count the requests answered with a status other than `good`, or not at all."""
        return self.requests - sum(self.statuses[status] for status in good)

    def add(self, other: Outcome) -> None:
        """Add another outcome's requests."""
        self.latencies += other.latencies
        self.statuses += other.statuses
        self.unanswered += other.unanswered


class _Connection:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.buffer = b""

    def answer(self) -> int | None:
        """Read on; the status once the whole answer is there. Answers carry Content-Length."""
        self.buffer += self.socket.recv(65536)
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) < length:
            return None
        self.buffer = b""
        return int(lines[0].split(b" ", 2)[1])


def _receive(
    selector: selectors.BaseSelector,
    idle: queue.SimpleQueue[_Connection],
    outcome: Outcome,
    *,
    sent: threading.Event,
    total: int,
    patience: float,
) -> None:
    until = float("inf")
    while len(outcome.latencies) < total and time.perf_counter() < until:
        for key, _ in selector.select(0.1):
            status = key.data.answer()
            if status is not None:
                outcome.latencies.append(time.perf_counter() - key.data.due)
                outcome.statuses[status] += 1
                idle.put(key.data)
        if sent.is_set() and until == float("inf"):
            until = time.perf_counter() + patience


def run(
    address: tuple[str, int],
    make: Callable[[int], bytes],
    *,
    rate: float,
    seconds: float,
    connections: int = 64,
    patience: float = 5.0,
) -> Outcome:
    """Send `rate` requests a second for `seconds`.

    `make(i)` gives the i-th as bytes, keep-alive.
    """
    total = int(rate * seconds)
    requests = [make(number) for number in range(total)]
    idle: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
    selector = selectors.DefaultSelector()
    opened = [_Connection(*address) for _ in range(connections)]
    for connection in reversed(opened):
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        idle.put(connection)
    outcome, sent = Outcome(), threading.Event()

    receiver = threading.Thread(
        target=_receive,
        args=(selector, idle, outcome),
        kwargs={"sent": sent, "total": total, "patience": patience},
    )
    receiver.start()
    began = time.perf_counter() + 0.05
    for number, request in enumerate(requests):
        due = began + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        try:
            connection = idle.get(timeout=patience)
        except queue.Empty:
            break
        connection.due = due
        connection.socket.sendall(request)
    sent.set()
    receiver.join()
    for connection in opened:
        connection.socket.close()
    outcome.unanswered = total - len(outcome.latencies)
    return outcome


def get(host: str, path: str, headers: str = "") -> bytes:
    """Return a GET request as bytes; each of `headers` ends with CRLF."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()


def post(host: str, path: str, body: bytes, headers: str = "") -> bytes:
    """Return a POST request of JSON as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return f"{head}{headers}\r\n".encode() + body
