"""Sessions through Kafka end in the lists of the evaluation: one engine, two ways to it."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from config.settings import Settings
from domain.events import Session
from domain.times import iso
from orchestration.recommendations.engine.item import Item, Wish
from orchestration.recommendations.engine.recommender import Recommender
from serving.consumers.run import metrics_port
from serving.recommendations import keys
from tests.integration.parts import plug, through, until

CONSUMER, TOPIC = "recommender", "sessions"
START = 1_718_000_000_000  # after all that the shop's exercises send: hours are listed newest first
VISITORS, ITEMS = 40, 25


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(stack.redis_url)
    yield client
    client.close()


def _sessions(run: str) -> dict[str, list[str]]:
    """Whole sessions by visitor; items close together are clicked together."""
    draw = random.Random(8)
    found = {}
    for number in range(VISITORS):
        place = draw.randrange(ITEMS)
        items = []
        for _ in range(draw.randint(2, 7)):
            place = (place + draw.choice((-1, 0, 1, 2))) % ITEMS
            items.append(f"{run}-i{place}")
        found[f"{run}-v{number}"] = items
    return found


def _record(user: str, items: list[str], started: int) -> Session:
    return Session(
        session_id=f"{user}-0",
        user_id=user,
        event_id=f"{user}-{len(items)}",
        event_time=started + 1000 * len(items),
        started=started,
        clicks=len(items),
        items=tuple(items),
        actions=("view",) * len(items),
    )


def _known(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What the sessions themselves say: what is popular depends on the stack's other visitors."""
    found = [(one["item"], one["reason"]) for one in answer["items"]]
    return [(item, reason) for item, reason in found if not reason.startswith("popular")]


def _told(items: list[Item]) -> list[tuple[str, str]]:
    return _known({"items": keys.listed(items)})


def _size(stack: Settings) -> int:
    page = httpx.get(f"http://{stack.host}:{metrics_port(stack, CONSUMER)}/metrics").text
    found = re.search(r"^millrace_recommendations_sessions (\S+)$", page, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def test_sessions_through_kafka_make_the_lists_of_the_evaluation(
    stack: Settings, client: redis.Redis, api: httpx.Client
) -> None:
    run = uuid.uuid4().hex[:8]
    whole = _sessions(run)
    with plug(stack) as (sink, codec):
        encoder = codec.encoder(TOPIC)
        for clicks in range(1, 8):  # in turns, click by click
            for number, (user, items) in enumerate(whole.items()):
                if clicks <= len(items):
                    record = _record(user, items[:clicks], START + number)
                    sink.send(TOPIC, user, encoder.object(record))
        sink.flush()
    through(stack, (CONSUMER, TOPIC))

    engine = Recommender()
    for number, (user, items) in enumerate(whole.items()):
        engine.observe(f"{user}-0", START + number, items)
    # How rare an item is depends on how many sessions there are, of whomever.
    for number in range(_size(stack) - engine.index.sessions):
        engine.observe(f"other-{number}", number, ["other", f"other-{number}"])

    def stored(user: str) -> list[tuple[str, str]]:
        answer = api.get(f"/v1/recommendations/{user}")
        assert answer.status_code == 200
        return _known(answer.json())

    wanted = {
        user: _told(engine.recommend(items, session=f"{user}-0")) for user, items in whole.items()
    }
    assert sum(map(len, wanted.values())) > 5 * VISITORS
    until(
        "lists are made anew from all that was clicked",
        lambda: {user: stored(user) for user in whole} == wanted,
        timeout=30,
    )
    assert 0 < int(client.pttl(keys.visitor(next(iter(whole))))) <= 7 * keys.DAY_MS

    asked = {"items": [f"{run}-i3", f"{run}-i4"], "limit": 20, "repeats": False}
    answer = api.post("/v1/recommendations/session", json=asked)
    assert answer.status_code == 200
    found = engine.recommend(asked["items"], wish=Wish(20, repeats=False))  # type: ignore[arg-type]
    assert _known(answer.json()) == _told(found)

    def metered() -> list[tuple[int, int]]:
        hours = api.get(f"/v1/metrics/recommendations?limit={keys.KEEP_HOURS}").json()["hours"]
        mine = [one for one in hours if one["hour"] == iso(START - START % 3_600_000)]
        return [(one["clicks"], one["hits"]) for one in mine]

    user, items = next(iter(whole.items()))
    before = sum(hits for _, hits in metered())
    with plug(stack) as (sink, codec):
        clicked = _record(user, [*items, wanted[user][0][0]], START)
        sink.send(TOPIC, user, codec.encoder(TOPIC).object(clicked))
    until("the click is metered as a hit", lambda: sum(hits for _, hits in metered()) > before)
