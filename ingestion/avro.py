"""Records to bytes and back in Confluent's wire format: a zero byte, the schema id (4 bytes, big-endian), the body.

Timestamps stay whole milliseconds (no datetime): exact, and what the jobs compute with.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

from config.topics import topics
from ingestion import schema
from ingestion.encoders import RecordEncoder, RefusedError
from ingestion.registry import Registry, UnknownSchemaError

MAGIC = 0
HEADER = struct.Struct(">bI")

__all__ = ["Codec", "Decoded", "RecordEncoder", "RefusedError", "UnreadableError", "header", "plain"]


class UnreadableError(ValueError):
    """Bytes that are no record. `reason` is one of the codes in Quarantined.avsc, `detail` for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record with the id of the schema it was written with."""

    schema_id: int
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Our own schema, parsed, with what Avro cannot say: least lengths of strings, and which fields must be finite."""

    schema: Any
    lengths: tuple[tuple[str, int], ...]
    doubles: tuple[str, ...]

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> _Reader:
        fields = declared["fields"]
        return cls(
            schema=fastavro.parse_schema(plain(declared)),
            lengths=tuple((field["name"], field["minLength"]) for field in fields if "minLength" in field),
            doubles=tuple(field["name"] for field in fields if "double" in field["type"]),
        )


def header(schema_id: int) -> bytes:
    """The five bytes before the body."""
    return HEADER.pack(MAGIC, schema_id)


def plain(node: Any) -> Any:
    """The schema without logical types: timestamps read and write as integers."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != "logicalType"}
    return [plain(item) for item in node] if isinstance(node, list) else node


class Codec:
    """Encodes and decodes the topics' records; asks the registry once a topic and once a writer's id.

    A topic's schema that the registry does not hold yet is registered (`millrace topics apply` normally has).
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._encoders: dict[str, RecordEncoder] = {}
        self._writers: dict[int, Any] = {}
        self._readers: dict[str, _Reader] = {}
        self._resolved: dict[tuple[int, str], Any] = {}

    def encoder(self, topic: str) -> RecordEncoder:
        """The topic's encoder, header included. Raises KeyError for an undeclared topic, RetryableError."""
        if topic not in self._encoders:
            declared = topics()[topic]
            schema_id = self._registry.register(declared.subject, schema.text(declared.schema))
            self._encoders[topic] = RecordEncoder(schema.load(declared.schema), header(schema_id))
        return self._encoders[topic]

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        """A mapping to bytes. Raises RefusedError where it does not fit the topic's schema."""
        return self.encoder(topic).record(record)

    def decode(self, topic: str, value: bytes | None) -> dict[str, Any]:
        """Bytes to a record of the topic's own schema, whatever compatible schema wrote it.

        Raises UnreadableError (poison) and RetryableError (registry away).
        """
        return self.decoded(topic, value).record

    def decoded(self, topic: str, value: bytes | None) -> Decoded:
        """As `decode`, with the writer's schema id."""
        schema_id, body = _split(value)
        reader = self._reader(topics()[topic].schema)
        record = _read(body, self._writer(schema_id), self._resolution(schema_id, topic, reader))
        _validate(reader, record)
        return Decoded(schema_id, record)

    def _resolution(self, schema_id: int, topic: str, reader: _Reader) -> Any:
        """The schema to resolve a writer's to; None where they are equal, which fastavro would compare each time."""
        known = schema_id, topic
        if known not in self._resolved:
            self._resolved[known] = None if self._writer(schema_id) == reader.schema else reader.schema
        return self._resolved[known]

    def _reader(self, name: str) -> _Reader:
        if name not in self._readers:
            self._readers[name] = _Reader.of(schema.load(name))
        return self._readers[name]

    def _writer(self, schema_id: int) -> Any:
        if schema_id not in self._writers:
            try:
                text = self._registry.schema(schema_id)
            except UnknownSchemaError as error:
                raise UnreadableError("unknown_schema", f"schema id {schema_id} is not in the registry") from error
            try:
                self._writers[schema_id] = fastavro.parse_schema(plain(json.loads(text)))
            except (ValueError, SchemaParseException) as error:
                raise UnreadableError("incompatible_schema", f"schema id {schema_id} is no Avro schema") from error
        return self._writers[schema_id]


def _split(value: bytes | None) -> tuple[int, bytes]:
    if not value:
        raise UnreadableError("empty", "no value")
    if len(value) < HEADER.size:
        raise UnreadableError("short", f"{len(value)} bytes, a header has {HEADER.size}")
    if value[0] != MAGIC:
        raise UnreadableError("bad_magic", f"first byte is 0x{value[0]:02x}, not 0x00")
    return HEADER.unpack_from(value)[1], value[HEADER.size :]


def _read(body: bytes, writer: Any, reader: Any) -> dict[str, Any]:
    stream = io.BytesIO(body)
    try:
        record = fastavro.schemaless_reader(stream, writer, reader)
    except fastavro.read.SchemaResolutionError as error:
        raise UnreadableError("incompatible_schema", str(error)) from error
    except (EOFError, IndexError) as error:
        raise UnreadableError("truncated", f"the body ends early, after {len(body)} bytes") from error
    except Exception as error:  # fastavro raises what the bytes provoke
        raise UnreadableError("malformed", f"{type(error).__name__}: {error}"[:500]) from error
    if not isinstance(record, dict):
        raise UnreadableError("incompatible_schema", "the writer's schema is no record")
    left = len(body) - stream.tell()
    if left:
        raise UnreadableError("trailing_bytes", f"{left} bytes after the record")
    return record


def _validate(reader: _Reader, record: Mapping[str, Any]) -> None:
    for name, minimum in reader.lengths:
        value = record[name]
        if value is not None and len(value) < minimum:
            raise UnreadableError("refused", f"{name} is shorter than {minimum}")
    for name in reader.doubles:
        value = record[name]
        if value is not None and not math.isfinite(value):
            raise UnreadableError("refused", f"{name} is {value}")
