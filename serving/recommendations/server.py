"""Answer questions about the index, in the process that holds it.

The API passes sessions on to here: an index that learns by the click cannot be in every process
that answers, and fraud's look-ups must not wait for it. The API has checked what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import orjson
import structlog

from orchestration.recommendations.engine.item import Item, Wish
from serving.lines import Server
from serving.recommendations import keys
from serving.recommendations.types import Asked

log = structlog.get_logger(__name__)


class Source(Protocol):
    """What makes lists, for any thread."""

    def recommend(
        self, items: Sequence[str], actions: Sequence[str] | None, wish: Wish, category: str | None
    ) -> list[Item]:
        """Return a list for a session in hand."""
        ...


def question(asked: Asked) -> bytes:
    """Return what is sent for a session in hand."""
    wish = (asked.limit, asked.repeats, asked.diversity)
    return orjson.dumps((asked.items, asked.actions, wish, asked.category))


def answers(source: Source) -> Callable[[bytes], bytes]:
    """Return what answers a question with the body of the API's answer."""

    def answer(asked: bytes) -> bytes:
        items, actions, wish, category = orjson.loads(asked)
        found = source.recommend(items, actions, Wish(*wish), category)
        return orjson.dumps({"items": keys.listed(found)})

    return answer


def serve(source: Source, host: str, port: int) -> Server:
    """Serve from a thread of its own until the process ends. Raise OSError if the port is taken."""
    server = Server(answers(source), host, port)
    log.info("serving the index", host=host, port=server.port)
    return server
