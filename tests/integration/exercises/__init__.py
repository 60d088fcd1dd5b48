"""A product's part in the rounds that all products go through together.

One module a product, with the product's name, and in it a function `exercise`. A round sends what
every product's exercise has to send, disturbs the stack meanwhile, and then asks each exercise
whether its product's readers see what an undisturbed run would have given them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import httpx
import redis

from config.products import Product, running
from config.settings import Settings
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from tests.integration.parts import plug


@dataclass(frozen=True, slots=True)
class Hands:
    """What an exercise works with: a sink of its own, and clients to read by."""

    stack: Settings
    sink: KafkaSink
    codec: Codec
    client: redis.Redis
    api: httpx.Client
    run: str
    """In the ids of all that the exercise sends, so that it knows its own again."""


@dataclass(frozen=True, slots=True)
class Poison:
    """Bytes that no reader of `topic` can read.

    `by`: who puts them aside, as the record in quarantine says; so do all others whose poisons name
    the topic. `make` is given a number that makes the bytes unique.
    """

    topic: str
    by: str
    reason: str
    make: Callable[[int], bytes]


class Exercise(Protocol):
    """Load on a product's input topics, and what must come of it."""

    rate: int
    """Records a second that it sends under load."""
    good: int
    """Records that it sends at full speed among poison."""

    @property
    def sent(self) -> int:
        """How many records it has sent."""
        ...

    def sending(self) -> Iterator[object]:
        """Send one record, or a few that belong together, each time it is advanced, without end."""
        ...

    def poisons(self) -> Sequence[Poison]:
        """Return what each of the input topics must put aside.

        What is merely refused names keys that good records have: it must leave no trace on them.
        """
        ...

    def through(self) -> None:
        """Wait until every job and consumer of the product has done all that was sent."""
        ...

    def verify(self) -> None:
        """Assert that every reader sees what an undisturbed run would have given; after `through`.

        Computed from what was sent, sharing no code with the jobs.
        """
        ...

    def stored(self) -> Mapping[Any, object]:
        """Return every stored byte that a reader sees."""
        ...

    def repeat(self) -> None:
        """Send once more what must change nothing: records again, versions in the wrong order."""
        ...


def module_of(product: Product) -> str:
    """Return the name of the module with a product's exercise."""
    return f"{__name__}.{product.name}"


@contextmanager
def exercises(
    stack: Settings, client: redis.Redis, api: httpx.Client, run: str
) -> Iterator[dict[Product, Exercise]]:
    """Open the exercise of every product that runs."""
    with ExitStack() as opened:
        found: dict[Product, Exercise] = {}
        for product in running(stack):
            sink, codec = opened.enter_context(plug(stack))
            hands = Hands(stack, sink, codec, client, api, run)
            found[product] = import_module(module_of(product)).exercise(hands)
        yield found
