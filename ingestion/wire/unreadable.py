"""What reading raises for bytes that are no record."""

from __future__ import annotations

LONGEST_DETAIL = 500


class UnreadableError(ValueError):
    """Bytes that are no record.

    `reason` is one of the codes in Quarantined.avsc, `detail` for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail[:LONGEST_DETAIL]
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
