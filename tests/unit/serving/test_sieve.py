"""What a rebuilding needs of a topic, beside a literal choice among its records."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ingestion import schema
from ingestion.wire.encode import RecordEncoder
from ingestion.wire.heads import HeadReader
from serving.consumers.product import Newest
from serving.consumers.sieve import Sieve
from tests.unit.serving.kafka_fake import FakeMessage

SESSION = schema.load("Session")
PREFIX = b"\x00\x00\x00\x00\x07"
ENCODER = RecordEncoder(SESSION, PREFIX)


def message(place: int, name: str, clicks: int) -> FakeMessage:
    record: dict[str, Any] = {
        "session_id": name,
        "user_id": "u",
        "event_id": f"{name}-{place}",
        "event_time": 1,
        "started": 1,
        "clicks": clicks,
        "items": [],
        "actions": [],
    }
    return FakeMessage(ENCODER.record(record), place)


def sieve(most: int = 1000, most_first: int = 1000) -> Sieve:
    newest = Newest("session_id", "clicks", most, most_first)
    return Sieve(newest, HeadReader(SESSION, PREFIX, newest.key, newest.version))


def drained(made: Sieve) -> list[FakeMessage]:
    found: list[Any] = []
    while made:
        found += made.take(7)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_of_each_key_the_greatest_version_in_the_order_of_reading(seed: int) -> None:
    draw = random.Random(seed)
    messages = [
        message(place, f"s{draw.randrange(30)}", draw.randint(0, 6)) for place in range(200)
    ]
    made = sieve()
    for first in range(0, 200, 17):
        assert made.add(messages[first : first + 17]) == []
    best: dict[str, tuple[int, FakeMessage]] = {}
    for one in messages:
        name, clicks = _head(one)
        kept = best.pop(name, (-1, one))
        best[name] = (clicks, one) if clicks >= kept[0] else kept
    assert drained(made) == [one for _, one in best.values()]


def test_as_many_as_there_is_room_for_those_read_last() -> None:
    made = sieve(most=2, most_first=1)
    names = [("a", 2), ("b", 1), ("c", 2), ("d", 1), ("e", 5), ("a", 1)]
    made.add([message(place, *one) for place, one in enumerate(names)])
    assert [_head(one)[0] for one in drained(made)] == ["c", "e", "a"]


def test_what_has_no_head_is_handed_back() -> None:
    made, broken = sieve(), FakeMessage(b"no", 1)
    assert made.add([message(0, "a", 1), broken]) == [broken]
    assert len(made) == 1


@pytest.mark.parametrize("seed", range(5))
def test_what_cannot_be_read_hides_nothing_and_is_not_hidden(seed: int) -> None:
    draw, asked = random.Random(seed), list[int]()
    messages = [message(at, f"s{draw.randrange(30)}", draw.randint(0, 6)) for at in range(200)]
    broken = {place for place in range(200) if draw.random() < 0.3}

    def readable(one: Any) -> bool:
        asked.append(one.offset())
        return one.offset() not in broken

    newest = Newest("session_id", "clicks", 1000, 1000)
    made = Sieve(newest, HeadReader(SESSION, PREFIX, "session_id", "clicks"), readable)
    strange = [one for at in range(0, 200, 17) for one in made.add(messages[at : at + 17])]
    assert len(asked) == len(set(asked)), "each is asked about once"
    left = drained(made)
    best: dict[str, int] = {}
    for one in messages:
        name, clicks = _head(one)
        if one.offset() not in broken:
            best[name] = max(clicks, best.get(name, 0))
    assert dict(_head(one) for one in left if one.offset() not in broken) == best
    assert broken == {one.offset() for one in (*strange, *left)} & broken
    assert {one.offset() for one in strange} <= broken


def test_of_other_keys_than_those_asked_for_nothing_is_kept() -> None:
    newest = Newest("session_id", "clicks", 1000, 1000)
    heads = HeadReader(SESSION, PREFIX, "session_id", "clicks")
    made = Sieve(newest, heads, only={b"b"})
    made.add([message(at, name, 1 + at) for at, name in enumerate("abcb")])
    assert [_head(one) for one in drained(made)] == [("b", 4)]


def _head(one: FakeMessage) -> tuple[str, int]:
    found = HeadReader(SESSION, PREFIX, "session_id", "clicks").read([one.value() or b""])
    return found.texts[0].decode(), found.numbers[0]
