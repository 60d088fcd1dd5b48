"""Hold what a process has produced, for whoever asks for the same again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """An event's bytes, and Kafka's confirmation of it."""

    value: bytes
    confirmed: asyncio.Future[None]

    def failed(self) -> bool:
        """Return whether the delivery failed; it may have arrived all the same."""
        return self.confirmed.done() and self.confirmed.exception() is not None
