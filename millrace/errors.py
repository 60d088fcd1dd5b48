"""Errors in words."""

from __future__ import annotations

import os


def told(error: Exception) -> str:
    """An error's words for a person; a failed file operation says on which path, and why."""
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes) and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)
