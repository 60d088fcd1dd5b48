"""Read the first fields of many records at once, and leave the rest alone.

To choose among records that a topic holds by the million, two fields of each suffice, and decoding
all would take most of the time. Only texts and whole numbers may stand before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingestion.wire.contract import plain

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
_PADDING = bytes(16)
"""Behind the last record, so that reading a number there needs no check of each byte."""


class Heads(NamedTuple):
    """A text and a number of each record; an empty text for what has no such head."""

    texts: list[bytes]
    numbers: list[int]


class HeadReader:
    """Read one text and one number of records written with one schema."""

    def __init__(self, schema: Mapping[str, Any], prefix: bytes, text: str, number: str) -> None:
        """Take a schema, the bytes before each record of it, and the names of the fields.

        Raise ValueError for a schema where something else stands before one of them.
        """
        self._prefix, kinds = prefix, list[str]()
        self._text = self._number = -1
        for place, field in enumerate(plain(schema)["fields"]):
            kind = field["type"]
            kind = kind["type"] if isinstance(kind, dict) else kind
            if kind not in ("string", "int", "long"):
                break
            kinds.append(kind)
            if field["name"] == text and kind == "string":
                self._text = place
            if field["name"] == number and kind != "string":
                self._number = place
        if self._text < 0 or self._number < 0:
            raise ValueError(f"{text} and {number} are not at the head of {schema['name']}")
        self._kinds = kinds[: max(self._text, self._number) + 1]

    def read(self, values: Sequence[bytes]) -> Heads:
        """Return the heads. Records of another schema, and broken ones, have none."""
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        ends = np.cumsum(sizes)
        whole = b"".join((*values, _PADDING))
        data, at = np.frombuffer(whole, np.uint8), ends - sizes
        good = sizes > len(self._prefix)
        for place, byte in enumerate(self._prefix):
            good &= data[np.minimum(at + place, len(data) - 1)] == byte
        at = np.where(good, at + len(self._prefix), ends)
        first = last = numbers = np.zeros(len(values), np.int64)
        for place, kind in enumerate(self._kinds):
            found, at = _varints(data, at, ends, good)
            if kind == "string":
                good &= (found >= 0) & (found <= ends - at)
                found = np.where(good, found, 0)
                if place == self._text:
                    first, last = at, at + found
                at = at + found
            elif place == self._number:
                numbers = found
        texts = [
            whole[start:end] if fits else b""
            for start, end, fits in zip(first.tolist(), last.tolist(), good.tolist(), strict=True)
        ]
        return Heads(texts, numbers.tolist())


def _varints(data: NDArray[np.uint8], at: Ints, ends: Ints, good: Flags) -> tuple[Ints, Ints]:
    """Return the numbers that begin at `at`, and where they end; clear `good` beyond `ends`."""
    byte = data[at].astype(np.uint64)
    found, at = byte & np.uint64(0x7F), at + 1
    open_ = np.flatnonzero((byte >= 0x80) & good)
    for shift in range(7, 70, 7):
        if not len(open_):
            break
        byte = data[at[open_]].astype(np.uint64)
        found[open_] |= (byte & np.uint64(0x7F)) << np.uint64(shift)
        at[open_] += 1
        open_ = open_[byte >= 0x80]
    good[open_] = False
    good &= at <= ends
    signed = (found >> np.uint64(1)).astype(np.int64) ^ -(found & np.uint64(1)).astype(np.int64)
    return signed, np.where(good, at, ends)
