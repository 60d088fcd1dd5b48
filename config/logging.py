"""Set up structured logs.

Each line is one JSON object (or plain text for people) on stdout, where Supervisor collects it.
"""

from __future__ import annotations

import logging
import sys

import structlog

from config.errors import UserError
from config.settings import LEVELS, Settings


def configure(process: str, settings: Settings) -> None:
    """Set up structlog and the standard library's logging alike; every line names the process.

    `settings.log_level` is the least severe level written; `settings.log_json` chooses JSON or
    plain lines. Raise UserError for an unknown level.
    """
    level = _level(settings.log_level)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    structlog.contextvars.bind_contextvars(process=process)


def for_command(settings: Settings) -> None:
    """Send a command's structured lines to standard error, as its result has standard output.

    Text for a person on a terminal, JSON elsewhere (unless `settings.log_json` says otherwise).
    Raise UserError for an unknown level.
    """
    people = sys.stderr.isatty() or not settings.log_json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False)
            if people
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings.log_level)),
        # Whatever standard error is when a line is written: a progress bar redirects it.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _level(name: str) -> int:
    if name.upper() not in LEVELS:
        raise UserError(f"MILLRACE_LOG_LEVEL is {name!r}: it is one of {', '.join(LEVELS)}")
    return logging.getLevelNamesMapping()[name.upper()]
