"""Put errors into words."""

from __future__ import annotations

import os


def told(error: Exception) -> str:
    """Return the message for a person; that of a failed file operation names the path."""
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)
