"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.settings import settings
from tests.integration.rolling_runs import SEEDS


def pytest_report_header() -> str:
    """Say what was drawn, so that a run that fails can be made again."""
    seeds = ", ".join(map(str, SEEDS))
    return f"seeds of the rolling specification: {seeds} (MILLRACE_SEED=… for one)"


@pytest.fixture
def fresh_settings() -> Iterator[None]:
    """Let a test change the environment: settings are read anew in it and after it."""
    settings.cache_clear()
    yield
    settings.cache_clear()
