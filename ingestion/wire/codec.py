"""Convert records to bytes and back in Confluent's wire format.

A zero byte, the schema id (4 bytes, big-endian), the body.

Timestamps stay whole milliseconds (no datetime): exact, and what the jobs compute with.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import fastavro

from config.topics import BROKER_BYTES, topics
from ingestion import schema
from ingestion.wire.contract import Contract, plain, units
from ingestion.wire.encode import RecordEncoder, RefusedError
from ingestion.wire.registry import Registry, UnknownSchemaError
from ingestion.wire.skip import step_over
from ingestion.wire.unreadable import UnreadableError

MAGIC = 0
HEADER = struct.Struct(">bI")
# Ids are Java ints: the registry answers a greater id as it does a wrong path, which says nothing
# about the record.
_LARGEST_ID = (1 << 31) - 1

__all__ = [
    "Codec",
    "Decoded",
    "RecordEncoder",
    "RefusedError",
    "UnreadableError",
    "header",
    "plain",
]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record, the id of the schema it was written with, and which of the topic's it is.

    `name` is the schema's in ingestion/schema.
    """

    schema_id: int
    record: dict[str, Any]
    name: str


@dataclass(frozen=True, slots=True)
class _Writer:
    """The schema a record was written with.

    As fastavro parsed it, and the logical types that this left out.
    """

    schema: Any
    units: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> _Writer:
        """Parse a schema. Raise whatever the text provokes."""
        declared = json.loads(text)
        if declared["type"] != "record":
            raise ValueError(f"a schema of {declared['type']}")
        return cls(fastavro.parse_schema(plain(declared)), units(declared))


def header(schema_id: int) -> bytes:
    """Return the five bytes before the body."""
    return HEADER.pack(MAGIC, schema_id)


class Codec:
    """Encode and decode the topics' records.

    Ask the registry once a topic and record, and once a writer's id.

    A topic's schema that the registry does not hold yet is registered (`millrace topics apply`
    normally has).
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._encoders: dict[tuple[str, str | None], RecordEncoder] = {}
        self._writers: dict[int, _Writer] = {}
        self._contracts: dict[str, Contract] = {}
        self._resolved: dict[tuple[int, str], tuple[str, Any]] = {}

    def encoder(self, topic: str, name: str | None = None) -> RecordEncoder:
        """Return the encoder of one of the topic's records, header included.

        `name` is that of its schema; None stands for the topic's first. Raise KeyError for an
        undeclared topic or a record that it does not hold, RetryableError if the registry is away.
        """
        if (topic, name) not in self._encoders:
            declared = topics()[topic]
            record = name or declared.schema
            subject = declared.subject_of(record)
            schema_id = self._registry.register(subject, schema.text(record))
            made = RecordEncoder(schema.load(record), header(schema_id))
            self._encoders[topic, name] = made
        return self._encoders[topic, name]

    def encode(self, topic: str, record: Mapping[str, Any], name: str | None = None) -> bytes:
        """Encode a mapping as `encoder` does.

        Raise RefusedError for a record that does not fit the schema.
        """
        return self.encoder(topic, name).record(record)

    def decode(self, topic: str, value: bytes | None) -> dict[str, Any]:
        """Decode bytes as the topic's own schema, whatever compatible schema wrote them.

        Raise UnreadableError (poison) and RetryableError (registry away).
        """
        return self.decoded(topic, value).record

    def decoded(self, topic: str, value: bytes | None, *, strict: bool = False) -> Decoded:
        """Decode, and return the writing schema's id and the record's name as well.

        With `strict`, accept no bytes that the jobs do not accept, at several times the cost. Raise
        as `decode` does.
        """
        if strict and value and len(value) > BROKER_BYTES:
            raise UnreadableError(
                "refused", f"{len(value)} bytes, a message has at most {BROKER_BYTES}"
            )
        schema_id, body = _split(value)
        writer = self._writer(schema_id)
        name, reader = self._resolution(schema_id, topic)
        if strict:
            step_over(value or b"", HEADER.size, writer.schema)
        record = _read(body, writer.schema, reader)
        self._contract(name).check(record)
        return Decoded(schema_id, record, name)

    def name_of(self, topic: str, value: bytes | None) -> str | None:
        """Return which of the topic's records this is by its header; None if that cannot be read.

        Raise RetryableError (registry away).
        """
        try:
            schema_id, _ = _split(value)
            return self._resolution(schema_id, topic)[0]
        except UnreadableError:
            return None

    def readable(self, topic: str, value: bytes | None) -> bool:
        """Return whether bytes can be decoded. Raise RetryableError (registry away)."""
        try:
            self.decoded(topic, value)
        except UnreadableError:
            return False
        return True

    def _resolution(self, schema_id: int, topic: str) -> tuple[str, Any]:
        """Return which of the topic's records a schema writes, and the schema to read it as."""
        if (schema_id, topic) not in self._resolved:
            self._resolved[schema_id, topic] = self._resolve(self._writer(schema_id), topic)
        return self._resolved[schema_id, topic]

    def _resolve(self, writer: _Writer, topic: str) -> tuple[str, Any]:
        name = _record_of(writer, topic)
        contract = self._contract(name)
        contract.compare(writer.units)
        # fastavro would compare equal schemas for each record.
        return name, None if writer.schema == contract.schema else contract.schema

    def _contract(self, name: str) -> Contract:
        if name not in self._contracts:
            self._contracts[name] = Contract.of(schema.load(name))
        return self._contracts[name]

    def _writer(self, schema_id: int) -> _Writer:
        if schema_id not in self._writers:
            try:
                text = self._registry.schema(schema_id) if schema_id <= _LARGEST_ID else None
            except UnknownSchemaError:
                text = None
            if text is None:
                raise UnreadableError(
                    "unknown_schema", f"schema id {schema_id} is not in the registry"
                )
            try:
                self._writers[schema_id] = _Writer.of(text)
            # json and fastavro raise whatever the text provokes, RecursionError included.
            except Exception as error:
                raise UnreadableError(
                    "incompatible_schema", f"schema id {schema_id} is not that of a record"
                ) from error
        return self._writers[schema_id]


def _record_of(writer: _Writer, topic: str) -> str:
    """Return the topic's record that a writer's schema stands for, by name as Avro resolves it."""
    declared = topics()[topic]
    if not declared.also:
        return declared.schema
    written = str(writer.schema["name"])
    name = written.rsplit(".", 1)[-1]
    if name not in declared.records:
        known = ", ".join(declared.records)
        raise UnreadableError("incompatible_schema", f"a {written}; {topic} holds {known}")
    return name


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
        record = cast("dict[str, Any]", fastavro.schemaless_reader(stream, writer, reader))
    except fastavro.read.SchemaResolutionError as error:
        raise UnreadableError("incompatible_schema", str(error)) from error
    except UnicodeDecodeError as error:
        detail = f"invalid UTF-8 at byte {error.start} of {len(error.object)}"
        raise UnreadableError("malformed", detail) from error
    # fastavro raises whatever the bytes provoke; its error does not distinguish short from wrong.
    except Exception as error:
        step_over(bytes(HEADER.size) + body, HEADER.size, writer)
        raise UnreadableError("malformed", f"{type(error).__name__}: {error}") from error
    left = len(body) - stream.tell()
    if left:
        raise UnreadableError("trailing_bytes", f"{left} bytes after the record")
    return record
