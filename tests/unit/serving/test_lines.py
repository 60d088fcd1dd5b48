"""Questions by the line, over a real connection."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from serving.lines import LONGEST, Asker, AwayError, FailedError, Server

HOST = "127.0.0.1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answer(question: bytes) -> bytes:
    if question == b"wrong":
        raise ValueError("no such thing")
    return question[::-1]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(answer, HOST, 0)
    yield made
    made.close()


@pytest.mark.anyio
async def test_each_gets_its_own_answer_however_many_ask_at_once(server: Server) -> None:
    asker = Asker(f"tcp://{HOST}:{server.port}")
    questions = [f"{number:05}".encode() * 50 for number in range(500)]
    assert await asyncio.gather(*map(asker.ask, questions)) == [one[::-1] for one in questions]
    asker.close()


@pytest.mark.anyio
async def test_a_question_that_fails_leaves_the_others_their_answers(server: Server) -> None:
    asker = Asker(f"tcp://{HOST}:{server.port}")
    first, wrong, last = await asyncio.gather(
        *map(asker.ask, (b"ab", b"wrong", b"cd")), return_exceptions=True
    )
    assert (first, last) == (b"ba", b"dc")
    assert isinstance(wrong, FailedError)
    assert str(wrong) == "ValueError"
    asker.close()


def test_a_server_closes_however_soon_it_is_told_to() -> None:
    for _ in range(200):
        Server(answer, HOST, 0).close()


@pytest.mark.anyio
async def test_a_server_that_is_away_and_comes_back() -> None:
    first = Server(answer, HOST, 0)
    asker = Asker(f"tcp://{HOST}:{first.port}")
    assert await asker.ask(b"ab") == b"ba"
    first.close()
    with pytest.raises(AwayError):
        await asker.ask(b"ab")
    with pytest.raises(AwayError):  # refused: nobody listens
        await asker.ask(b"ab")
    second = Server(answer, HOST, first.port)
    assert await asker.ask(b"ab") == b"ba"
    asker.close()
    second.close()


@pytest.mark.anyio
async def test_a_server_that_is_silent() -> None:
    release = threading.Event()
    server = Server(lambda question: question if release.wait(20) else b"", HOST, 0)
    asker = Asker(f"tcp://{HOST}:{server.port}", seconds=0.05)
    with pytest.raises(AwayError, match="in time"):
        await asker.ask(b"ab")
    release.set()
    patient = Asker(f"tcp://{HOST}:{server.port}")
    assert await patient.ask(b"cd") == b"cd"
    asker.close()
    patient.close()
    server.close()


def test_a_question_without_an_end_is_not_kept(server: Server) -> None:
    endless = itertools.repeat(bytes(65536), 64 * LONGEST // 65536)
    with (
        socket.create_connection((HOST, server.port), timeout=20) as wire,
        pytest.raises(ConnectionError),
    ):
        wire.sendall(b"".join(endless))


def test_a_port_that_is_taken(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(answer, HOST, server.port)
