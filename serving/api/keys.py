"""Check API keys: only their hashes are kept, and every comparison takes the same time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def digest(key: bytes) -> bytes:
    """Return the hash that is kept of a key.

    Keys are long random strings, so a plain SHA-256 is enough (there is no dictionary to try).
    """
    return hashlib.sha256(key).digest()


class Keys:
    """The accepted keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._known = {digest(key.strip().encode()) for key in keys if key.strip()}

    def __len__(self) -> int:
        return len(self._known)

    def owner(self, presented: bytes) -> str | None:
        """Return a name for the key's owner (the start of its hash), or None for an unknown key.

        Compare with every key, in constant time.
        """
        asked = digest(presented)
        found = False
        for known in self._known:
            found |= hmac.compare_digest(asked, known)
        return asked[:6].hex() if found else None
