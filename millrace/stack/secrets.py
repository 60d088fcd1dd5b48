"""The API key that the stack makes when the settings hold none."""

from __future__ import annotations

import secrets

from config.files import write
from config.settings import Settings
from millrace.stack.layout import Layout


def api_keys(settings: Settings) -> str:
    """The keys the API accepts, comma-separated.

    The settings', else one made once, readable by its owner alone.
    """
    given = settings.api_keys.get_secret_value()
    if given:
        return given
    path = Layout.of(settings).api_key
    if not path.exists():
        write(path, secrets.token_urlsafe(24) + "\n", mode=0o600)
    return path.read_text().strip()
