"""Choose a visitor to be watched: one who clicks now, for as long as that visitor goes on."""

from __future__ import annotations

QUIET_MS = 15_000
"""After this long without a click the next visitor who clicks is watched."""
PAUSE_MS = 200
"""Between two clicks that are shown: nobody reads faster."""


class Spotlight:
    """The visitor who is watched. It costs a comparison a click."""

    def __init__(self) -> None:
        self._user, self._shown, self._clicked = "", 0, 0

    def takes(self, user: str, now_ms: int) -> bool:
        """Return whether this click is to be shown."""
        if user != self._user:
            if self._user and now_ms - self._clicked < QUIET_MS:
                return False
            self._user, self._shown = user, now_ms - PAUSE_MS
        self._clicked = now_ms
        if now_ms - self._shown < PAUSE_MS:
            return False
        self._shown = now_ms
        return True
