"""Define errors, sorted by what the operator must do."""

from __future__ import annotations

import re


class UserError(Exception):
    """Bad input or a bad environment.

    The CLI prints the message on one line and exits with code 2.
    """


class RetryableError(Exception):
    """A part is away (broker, registry, Redis): back off and retry, then stop loudly."""


def without_credentials(text: str) -> str:
    """Return the text without the user and password of its URLs.

    Errors end up in logs and on pages that are open to all.
    """
    return re.sub(r"//[^/@\s]*@", "//", text)
