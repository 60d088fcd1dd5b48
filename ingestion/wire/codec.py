"""Records to bytes and back in Confluent's wire format.

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
# Ids are Java ints: of a greater one the registry says what it says of a wrong path, which is no
# answer.
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
    """A record with the id of the schema it was written with."""

    schema_id: int
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Writer:
    """The schema a record was written with.

    As fastavro parsed it, and the logical types that this left out.
    """

    schema: Any
    units: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> _Writer:
        """Raises whatever the text provokes."""
        declared = json.loads(text)
        if declared["type"] != "record":
            raise ValueError(f"a schema of {declared['type']}")
        return cls(fastavro.parse_schema(plain(declared)), units(declared))


def header(schema_id: int) -> bytes:
    """The five bytes before the body."""
    return HEADER.pack(MAGIC, schema_id)


class Codec:
    """Encodes and decodes the topics' records.

    Asks the registry once a topic and once a writer's id.

    A topic's schema that the registry does not hold yet is registered (`millrace topics apply`
    normally has).
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._encoders: dict[str, RecordEncoder] = {}
        self._writers: dict[int, _Writer] = {}
        self._contracts: dict[str, Contract] = {}
        self._resolved: dict[tuple[int, str], Any] = {}

    def encoder(self, topic: str) -> RecordEncoder:
        """The topic's encoder, header included.

        Raises KeyError for an undeclared topic, RetryableError.
        """
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

    def decoded(self, topic: str, value: bytes | None, *, strict: bool = False) -> Decoded:
        """As `decode`, with the writer's schema id.

        `strict`: take no bytes that the jobs do not take, at several times the cost.
        """
        if strict and value and len(value) > BROKER_BYTES:
            raise UnreadableError(
                "refused", f"{len(value)} bytes, a message has at most {BROKER_BYTES}"
            )
        schema_id, body = _split(value)
        writer, contract = self._writer(schema_id), self._contract(topics()[topic].schema)
        if (schema_id, topic) not in self._resolved:
            contract.compare(writer.units)
            # fastavro would compare equal schemas at each record.
            self._resolved[schema_id, topic] = (
                None if writer.schema == contract.schema else contract.schema
            )
        if strict:
            step_over(value or b"", HEADER.size, writer.schema)
        record = _read(body, writer.schema, self._resolved[schema_id, topic])
        contract.check(record)
        return Decoded(schema_id, record)

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
                    "incompatible_schema", f"schema id {schema_id} is none of a record"
                ) from error
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
        record = cast("dict[str, Any]", fastavro.schemaless_reader(stream, writer, reader))
    except fastavro.read.SchemaResolutionError as error:
        raise UnreadableError("incompatible_schema", str(error)) from error
    except UnicodeDecodeError as error:
        detail = f"invalid UTF-8 at byte {error.start} of {len(error.object)}"
        raise UnreadableError("malformed", detail) from error
    # fastavro raises whatever the bytes provoke: its error does not tell short from wrong.
    except Exception as error:
        step_over(bytes(HEADER.size) + body, HEADER.size, writer)
        raise UnreadableError("malformed", f"{type(error).__name__}: {error}") from error
    left = len(body) - stream.tell()
    if left:
        raise UnreadableError("trailing_bytes", f"{left} bytes after the record")
    return record
