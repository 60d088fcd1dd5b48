"""Say which files keep two apart that would undo each other's work (`config.files.locked`)."""

from __future__ import annotations

from pathlib import Path

from config.settings import Settings


def builds(current: Settings) -> Path:
    """Return the lock of builds of the marts."""
    return current.state_dir / "lake" / "dbt" / "lock"


def backfills(current: Settings) -> Path:
    """Return the lock of backfills."""
    return current.state_dir / "lake" / "backfill.lock"
