"""Send a test alert by every channel and say what became of it, as JSON on the last line.

`millrace alerts test` runs this as a process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from config.clock import now_ms
from config.errors import RetryableError, UserError
from config.settings import settings
from domain.alerts.episodes import document
from serving.alerts.channels import Channel, RefusedError
from serving.alerts.sender import channels


def tried(every: Iterable[Channel], now: int) -> dict[str, str]:
    """Return what became of the test, open and cleared, by channel: `sent`, or why not."""
    told = {
        "alert_id": f"test/{now}",
        "entity": "test",
        "kind": "TEST",
        "severity": "info",
        "details": {},
        "opened_at": now,
        "product": "millrace",
        "score": None,
        "location": None,
    }
    outcomes = {}
    for channel in every:
        try:
            for place, state in enumerate(("open", "cleared")):
                said = {"event_time": now + place, "state": state, "message": f"a test: {state}"}
                channel.send(document({**told, **said}))
        except (RetryableError, RefusedError) as error:
            outcomes[channel.name] = str(error)
        else:
            outcomes[channel.name] = "sent"
    return outcomes


if __name__ == "__main__":
    try:
        outcomes = tried(channels(settings()), now_ms())
    except UserError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(outcomes) + "\n")
