from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis
from redis._parsers.base import BaseParser

from config.errors import RetryableError
from serving.store import MemoryStore, RedisStore, Stored, parse_version
from serving.store.sql import SqlStore
from tests.unit.serving.store_conformance import StoreConformance, payment


class TestMemoryStore(StoreConformance):
    now = 0.0

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(lambda: self.now)

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds / 1000


class TestSqlStore(StoreConformance):
    now = 0.0

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqlStore]:
        store = SqlStore(f"sqlite:///{tmp_path}/values.db", lambda: self.now)
        yield store
        store.close()

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds / 1000

    def test_what_it_answered_is_there_for_the_next_process(
        self, store: SqlStore, tmp_path: Path
    ) -> None:
        store.apply([payment("a", 10, 1, b"one")])
        other = SqlStore(f"sqlite:///{tmp_path}/values.db", lambda: self.now)
        assert other.get("x:tx:a") == Stored(10, 1, b"one")
        assert (store.trail, other.newest("x:recent", 9)) == (0.0, [b"one"])
        other.close()


def test_a_database_that_cannot_be_written_is_retryable(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/values.db")
    with pytest.raises(RetryableError, match="cannot be written now: unable to open database"):
        store.apply([payment("a", 1, 1, b"x")])
    (tmp_path / "nowhere").mkdir()
    assert store.apply([payment("a", 1, 1, b"x")]) == [None]
    store.close()


@pytest.mark.slow
def test_redis_away_is_retryable() -> None:
    client = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    store = RedisStore(client)
    with pytest.raises(RetryableError, match="Redis is away"):
        store.apply([payment("a", 1, 1, b"x")])
    store.check()  # it never answered, so it can have forgotten nothing
    client.close()


class Refusing:
    """A Redis whose answers to the script, one a call, are given as they come over the wire.

    It starts at `load`.
    """

    def __init__(self, *answers: str, load: str = "") -> None:
        self.answers = [parse(answer) if answer else None for answer in answers]
        self.load = load

    def script_load(self, _: str) -> str:
        if self.load:
            raise parse(self.load)
        return "sha"

    def pipeline(self, transaction: bool) -> Refusing:
        assert not transaction
        return self

    def evalsha(self, *_: object) -> None: ...

    def execute(self, raise_on_error: bool) -> list[Exception | None]:
        assert not raise_on_error
        return self.answers


def parse(answer: str) -> Exception:
    error = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]
    assert isinstance(error, redis.RedisError)
    return error


LATER = [
    "OOM command not allowed when used memory > 'maxmemory'. script: 0f, on @user_script:19.",
    "MISCONF Redis is configured to save RDB snapshots, "
    "but it's currently unable to persist to disk.",
    "READONLY You can't write against a read only replica. script: 0f, on @user_script:19.",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
]


@pytest.mark.parametrize("answer", LATER)
def test_a_redis_that_cannot_write_now_is_retryable(answer: str) -> None:
    batch = [payment("a", 1, 1, b"x"), payment("b", 2, 2, b"y")]
    text = re.escape(answer.partition(" ")[2])
    for client in (Refusing("", answer), Refusing(load=answer)):
        with pytest.raises(RetryableError, match=text):
            RedisStore(cast("redis.Redis", client)).apply(batch)


def test_a_fault_of_ours_is_not() -> None:
    client = Refusing("", "WRONGTYPE Operation against a key holding the wrong kind of value")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        RedisStore(cast("redis.Redis", client)).apply(
            [payment("a", 1, 1, b"x"), payment("b", 2, 2, b"y")]
        )


@pytest.mark.parametrize("text", ["", "1", "1:2:3", "a:1"])
def test_version_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        parse_version(text)
