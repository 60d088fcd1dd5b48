"""Setting up the logs; every process of ours does it before anything else."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from config.errors import UserError
from config.logging import configure
from config.settings import LEVELS, Settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.parametrize("level", [*LEVELS, "warning"])
def test_levels_in_any_case(level: str) -> None:
    configure("tests", Settings.model_construct(log_level=level, log_json=True))

    assert logging.getLogger().level == getattr(logging, level.upper())


@pytest.mark.parametrize("level", ["verbose", "", "17", "NOTSET"])
def test_a_level_that_is_none_is_told_with_those_that_are(level: str) -> None:
    with pytest.raises(UserError, match="it is one of DEBUG, INFO, WARNING, ERROR, CRITICAL"):
        configure("tests", Settings.model_construct(log_level=level, log_json=True))
