"""Describe a model on a card: its kind, its files, and the details of its product."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILE = "model.json"
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class UnusableModelError(Exception):
    """Raised for a model that is incomplete, damaged, inconsistent, or unfit for its product.

    The message names the model and says what is wrong.
    """


@dataclass(frozen=True, slots=True)
class Card:
    """The content of `model.json`.

    `files` maps the name of each artefact to its SHA-256 in hex. `features` are the columns of a
    row, in order, of the feature set `feature_set_version`. `details` is the product's own section,
    which the shelf carries and never reads.
    """

    version: str
    kind: str
    files: Mapping[str, str]
    feature_set_version: str
    features: tuple[str, ...]
    details: Mapping[str, Any]

    @classmethod
    def of(cls, document: Any) -> Card:
        """Read a card. Raise ValueError, KeyError, TypeError or AttributeError if invalid."""
        card = cls(
            version=str(document["version"]),
            kind=str(document["kind"]),
            files={str(name): str(digest) for name, digest in document["files"].items()},
            feature_set_version=str(document["feature_set_version"]),
            features=tuple(map(str, document["features"])),
            details=dict(document["details"]),
        )
        for name in (card.version, *card.files):
            if not PLAIN.fullmatch(name) or name == FILE:
                raise ValueError(f"{name!r} is not a valid name for a version or a file")
        return card

    def document(self) -> dict[str, Any]:
        """Return the card as JSON holds it."""
        return {
            "version": self.version,
            "kind": self.kind,
            "files": dict(self.files),
            "feature_set_version": self.feature_set_version,
            "features": list(self.features),
            "details": dict(self.details),
        }


def digest(content: bytes) -> str:
    """Return the SHA-256 of an artefact, in hex."""
    return hashlib.sha256(content).hexdigest()
