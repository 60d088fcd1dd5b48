"""Define the options that several commands share, and read what they hold."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from config.errors import UserError
from domain.times import moment

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]


def logical(at: str, option: str = "--at") -> datetime:
    """Return the time that an option says, UTC if it names no zone. Raise UserError for no time."""
    try:
        return moment(at)
    except ValueError as error:
        raise UserError(f"{option}: {error}") from None
