"""Record what happened on a shelf, in order: models published, promoted and withdrawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

What = Literal["published", "promoted", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history. `at` is in milliseconds since 1970."""

    at: int
    what: What
    version: str


@dataclass(frozen=True, slots=True)
class History:
    """Events, the oldest first."""

    events: tuple[Event, ...] = ()

    @classmethod
    def parse(cls, text: str) -> History:
        """Read JSON lines. Raise ValueError, TypeError or KeyError for an invalid history."""
        return cls(tuple(Event(**json.loads(line)) for line in text.splitlines()))

    def text(self) -> str:
        """Return the JSON lines."""
        return "".join(json.dumps(asdict(event)) + "\n" for event in self.events)

    def then(self, event: Event) -> History:
        """Return the history with one more event."""
        return History((*self.events, event))

    def line(self) -> tuple[str, ...]:
        """Return the versions that were promoted and not withdrawn since, by their last promotion.

        The last one is current, the one before it what a rollback goes back to.

        >>> promoted = History((Event(1, "promoted", "a"), Event(2, "promoted", "b")))
        >>> promoted.line()
        ('a', 'b')
        >>> promoted.then(Event(3, "withdrawn", "b")).line()
        ('a',)
        """
        line: list[str] = []
        for event in self.events:
            if event.what != "published" and event.version in line:
                line.remove(event.version)
            if event.what == "promoted":
                line.append(event.version)
        return tuple(line)

    def last(self, what: What) -> str | None:
        """Return the version to which `what` happened last."""
        return next((event.version for event in reversed(self.events) if event.what == what), None)

    def published(self) -> dict[str, int]:
        """Return when each version was last published, the oldest first."""
        found: dict[str, int] = {}
        for event in self.events:
            if event.what == "published":
                # a version published again moves to its newest place
                found.pop(event.version, None)
                found[event.version] = event.at
        return found

    def withdrawn(self, version: str) -> bool:
        """Return whether a version was promoted once and has been withdrawn since."""
        return version in self.ever_promoted() and version not in self.line()

    def ever_promoted(self) -> frozenset[str]:
        """Return every version that was ever promoted, also those withdrawn since."""
        return frozenset(event.version for event in self.events if event.what == "promoted")
