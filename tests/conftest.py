"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
import structlog

from config.settings import settings
from tests.integration.rolling_runs import SEEDS

# `make unit` takes the fast one (`--hypothesis-profile=fast`), everything else the full one. A test
# that needs more examples than others asks for a multiple of `settings().max_examples`.
hypothesis.settings.register_profile("full", max_examples=100, deadline=None)
hypothesis.settings.register_profile("fast", max_examples=20, deadline=None)
hypothesis.settings.load_profile("full")

# Rich's tracebacks, with every local variable in them, take a third of a second each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


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
