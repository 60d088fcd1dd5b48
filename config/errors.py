"""Errors sorted by what the operator must do."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or a bad environment: the CLI prints the message on one line and exits with code 2."""


class RetryableError(Exception):
    """A part is away (broker, registry, Redis): back off and try again, then stop loudly."""
