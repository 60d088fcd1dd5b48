"""Scale the windows and waiting times of rules, so that a drill takes seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LEAST_SCRAPES = 4
"""A window holds at least so many scrapes: rate() needs two, and one may fail."""
_WINDOW = re.compile(r"\[(\d+)([smhd])\]")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two scrapes (`scrape_s`), and the factor on every duration of the rules."""

    scrape_s: int = 5
    patience: float = 1.0

    def expression(self, text: str) -> str:
        """Return a PromQL expression with its windows, such as `[5m]`, scaled."""
        return _WINDOW.sub(lambda found: f"[{self.window(found[1] + found[2])}s]", text)

    def window(self, duration: str) -> int:
        """Return a window in seconds, with enough scrapes in it."""
        return max(LEAST_SCRAPES * self.scrape_s, round(seconds(duration) * self.patience))

    def wait(self, duration: str) -> int:
        """Return a waiting time in seconds; zero stays zero."""
        long = seconds(duration) * self.patience
        return max(self.scrape_s, round(long)) if long else 0


def seconds(duration: str) -> int:
    """Return `"5m"` in seconds."""
    return int(duration[:-1]) * SECONDS[duration[-1]]
