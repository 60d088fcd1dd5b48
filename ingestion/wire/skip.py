"""Step over a record's bytes as strictly as the jobs' decoder does.

The decoder is Input.java and Skip.java in processing/kernel. fastavro trusts its input: any byte is
a boolean, an index may count from the wrong end, an int may have more than 32 bits, and a nonsense
length ends in the same error as a record cut short. Stepping in Python costs several times as much
as fastavro's reading, so it is for records that fastavro has failed at, and for those that must be
known to be good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingestion.wire.unreadable import UnreadableError

_ABSURD = (
    64 << 20
)  # beyond any single value of a Kafka record: a longer one is nonsense, not a cut record
_DEEPEST = 64
_MOST_EMPTY_ITEMS = 1 << 16
_SMALLEST = {"null": 0, "float": 4, "double": 8}


def step_over(message: bytes, start: int, schema: Any) -> int:
    """Return the offset where the record that begins at `start` ends.

    `schema` is the writer's, as fastavro parsed it. Raise UnreadableError (truncated, malformed);
    offsets in its detail count from the message's beginning.
    """
    steps = _Steps(
        message, start, schema.get("__named_schemas", {}) if isinstance(schema, dict) else {}
    )
    steps.value(schema, 0)
    return steps.position


class _Steps:
    def __init__(self, data: bytes, position: int, named: dict[str, Any]) -> None:
        self._data, self.position, self._named = data, position, named
        self._by_type: dict[Any, Callable[[dict[str, Any], int], object]] = {
            "null": lambda schema, depth: None,
            "boolean": lambda schema, depth: self._boolean(),
            "int": lambda schema, depth: self._int(),
            "long": lambda schema, depth: self._long(),
            "float": lambda schema, depth: self._skip(4),
            "double": lambda schema, depth: self._skip(8),
            "bytes": lambda schema, depth: self._skip(self._length()),
            "string": lambda schema, depth: self._skip(self._length()),
            "fixed": lambda schema, depth: self._skip(schema["size"]),
            "enum": lambda schema, depth: self._index(len(schema["symbols"]), "symbol"),
            "array": lambda schema, depth: self._items(schema["items"], 0, depth),
            "map": lambda schema, depth: self._items(schema["values"], 1, depth),
            "record": self._fields,
            "error": self._fields,
        }

    def value(self, schema: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise _malformed(f"nested deeper than {_DEEPEST}")
        if isinstance(schema, list):
            self.value(schema[self._index(len(schema), "branch")], depth + 1)
            return
        schema = self._whole(schema)
        kind = schema["type"]
        if isinstance(kind, str) and kind in self._by_type:
            self._by_type[kind](schema, depth)
        else:
            self.value(kind, depth + 1)

    def _whole(self, schema: Any) -> dict[str, Any]:
        """Return the schema as a mapping, resolving the name of a type."""
        if isinstance(schema, dict):
            return schema
        known: dict[str, Any] = self._named.get(schema, {"type": schema})
        return known

    def _fields(self, schema: dict[str, Any], depth: int) -> None:
        for field in schema["fields"]:
            try:
                self.value(field["type"], depth + 1)
            except UnreadableError as error:
                joint = "" if error.detail.startswith((".", "[")) else ": "
                raise UnreadableError(
                    error.reason, f"{field['name']}{joint}{error.detail}"
                ) from error

    def _items(self, item: Any, key_bytes: int, depth: int) -> None:
        """Skip an array's items (`key_bytes` 0) or a map's entries (1: the least a key takes)."""
        smallest = self._smallest(item, 0) + key_bytes
        total = 0
        while count := self._block(smallest, total):
            for _ in range(count):
                if key_bytes:
                    self._skip(self._length())
                self.value(item, depth + 1)
            total += count

    def _smallest(self, schema: Any, depth: int) -> int:
        """Return the least bytes that a value takes; 0 for one that may take none."""
        if isinstance(schema, list):
            return 1
        schema = self._whole(schema)
        match schema["type"]:
            case "fixed":
                return int(schema["size"])
            case "record" | "error":
                # Records that hold themselves for ever have no smallest size: stop somewhere.
                return (
                    0
                    if depth > 8
                    else sum(self._smallest(one["type"], depth + 1) for one in schema["fields"])
                )
            case kind:
                return (
                    _SMALLEST.get(kind, 1) if isinstance(kind, str) else self._smallest(kind, depth)
                )

    def _block(self, smallest: int, before: int) -> int:
        """Return the number of items in the next block; 0 ends it.

        `before` is the number of items so far, which bounds items that take no bytes at all.
        """
        count = self._long()
        if count < 0:
            if count == -(1 << 63):
                raise _malformed("absurd item count")
            count = -count
            self._length()
        if count > _ABSURD:
            raise _malformed(f"absurd item count {count}")
        if not smallest and count + before > _MOST_EMPTY_ITEMS:
            raise _malformed(f"{count} items without bytes")
        self._need(count * smallest)
        return count

    def _boolean(self) -> None:
        self._need(1)
        value = self._data[self.position]
        if value > 1:
            raise _malformed(f"boolean of value {value}")
        self.position += 1

    def _int(self) -> None:
        value = self._long()
        if not -(1 << 31) <= value < 1 << 31:
            raise _malformed(f"int of value {value}")

    def _long(self) -> int:
        value = shift = 0
        while True:
            self._need(1)
            byte = self._data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise _malformed("varint longer than 10 bytes")
        if value >= 1 << 64:
            raise _malformed("varint beyond 64 bits")
        return (value >> 1) ^ -(value & 1)

    def _length(self) -> int:
        length = self._long()
        if length < 0:
            raise _malformed(f"negative length {length}")
        if length > _ABSURD:
            raise _malformed(f"absurd length {length}")
        self._need(length)
        return length

    def _index(self, count: int, what: str) -> int:
        index = self._long()
        if not 0 <= index < count:
            raise _malformed(f"{what} {index} of {count}")
        return index

    def _skip(self, size: int) -> None:
        self._need(size)
        self.position += size

    def _need(self, size: int) -> None:
        left = len(self._data) - self.position
        if size > left:
            raise UnreadableError(
                "truncated", f"needs {size} bytes at offset {self.position}, has {left}"
            )


def _malformed(detail: str) -> UnreadableError:
    return UnreadableError("malformed", detail)
