"""Define the error raised for bytes that are not a record."""

from __future__ import annotations

LONGEST_DETAIL = 500


class UnreadableError(ValueError):
    """Raised for bytes that are not a record.

    `reason` is one of the codes in Quarantined.avsc, `detail` explains it to a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail[:LONGEST_DETAIL]
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
