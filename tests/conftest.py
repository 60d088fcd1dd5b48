"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.settings import settings


@pytest.fixture
def fresh_settings() -> Iterator[None]:
    """Let a test change the environment: settings are read anew in it and after it."""
    settings.cache_clear()
    yield
    settings.cache_clear()
