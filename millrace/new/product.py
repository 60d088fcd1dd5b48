"""Write the skeleton of a product outside this repository: it runs as it is.

Contract, topics, features, job, keys, consumer, route and a test, from the templates beside this
module, for an Avro record of the reader's own or for a plain one.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from config.errors import UserError
from config.files import write
from config.products import OUTSIDE_FILE, consumers, products
from config.settings import Settings
from config.topics import topics
from ingestion import schema as contracts

TEMPLATES = Path(__file__).parent / "template"
FIRST_PORT = 19150
_TYPES = {
    "string": "STRING",
    "int": "BIGINT",
    "long": "BIGINT",
    "float": "DOUBLE",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
}


@dataclass(frozen=True, slots=True)
class Record:
    """An Avro record, and which of its fields say who, when and which event."""

    schema: Mapping[str, Any]
    text: str
    key: str
    time: str
    id: str

    @classmethod
    def of(cls, text: str, key: str, time: str, id_: str) -> Record:
        """Parse a schema. Raise UserError if it is invalid or a field is missing or unfit."""
        try:
            schema = json.loads(text)
        except ValueError as error:
            raise UserError(f"the record is not JSON: {error}") from None
        if not isinstance(schema, dict) or schema.get("type") != "record":
            raise UserError('the record is no Avro record: {"type": "record", …}')
        record = cls(schema, text, key, time, id_)
        kinds = record.kinds()
        for option, name, kind in (
            ("--key", key, "STRING"),
            ("--time", time, "TIMESTAMP"),
            ("--id", id_, "STRING"),
        ):
            if kinds.get(name) != kind:
                what = "a timestamp-millis" if kind == "TIMESTAMP" else "a string"
                raise UserError(f"{option} {name}: no field of {record.name} that is {what}")
        return record

    @property
    def name(self) -> str:
        """Return the record's name."""
        return str(self.schema["name"])

    def kinds(self) -> dict[str, str]:
        """Return the types of the fields that can be made into features, in order."""
        found = {}
        for field in self.schema["fields"]:
            avro = field["type"]
            if isinstance(avro, list):
                avro = next((branch for branch in avro if branch != "null"), "null")
            if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-millis":
                found[field["name"]] = "TIMESTAMP"
            elif isinstance(avro, str) and avro in _TYPES:
                found[field["name"]] = _TYPES[avro]
        return found


def new_product(name: str, folder: Path, record: Record | None, settings: Settings) -> list[Path]:
    """Write the product `name` into `folder`, which must not exist; return the files.

    Raise UserError for a name that is not a module's or is taken, and for a folder that exists.
    """
    _check_name(name)
    if folder.exists():
        raise UserError(f"{folder} exists: choose another folder, or remove it")
    words = {
        "NAME": name,
        "TOPIC": name.replace("_", "-"),
        "CLASS": "".join(word.capitalize() for word in name.split("_")),
        "PORT": str(_free_port(settings)),
    }
    record = record or Record.of(
        _filled("Event.avsc.tpl", words), "entity_id", "event_time", "event_id"
    )
    words |= {"RECORD": record.name, "KEY": record.key, "TIME": record.time, "ID": record.id}
    words |= {"INPUTS": _inputs(record), "FEATURES": _features(record)}
    _refuse_taken(name, words)
    files = {
        OUTSIDE_FILE: _filled("product.yaml.tpl", words),
        "topics.yaml": _filled("topics.yaml.tpl", words),
        "pyproject.toml": _filled("pyproject.toml.tpl", words),
        f"schema/{record.name}.avsc": record.text,
        f"{name}/{name}_features.py": _filled("job.py.tpl", words),
        f"tests/test_{name}.py": _filled("test.py.tpl", words),
        **{
            f"{name}/{module}.py": _filled(f"{module}.py.tpl", words)
            for module in ("__init__", "features", "keys", "consumer", "routes")
        },
    }
    for path, text in files.items():
        write(folder / path, text)
    return [folder / path for path in files]


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,29}", name) or keyword.iskeyword(name):
        raise UserError(
            f"{name!r} cannot name a product: use a Python name of at most 30 lower-case letters, "
            "digits and _"
        )
    if find_spec(name) is not None:
        raise UserError(f"{name} is taken: there is a Python module of that name")


def _refuse_taken(name: str, words: Mapping[str, str]) -> None:
    taken = {
        "product": (name, {product.name for product in products()}),
        "topic": (f"{words['TOPIC']}-events", set(topics())),
        "record": (words["RECORD"], set(contracts.names())),
    }
    for what, (wanted, known) in taken.items():
        if wanted in known:
            raise UserError(f"{what} {wanted} is taken")


def _free_port(settings: Settings) -> int:
    taken = {consumer.port for consumer in consumers(settings).values()}
    return next(port for port in range(FIRST_PORT, 65_535) if port not in taken)


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return re.sub("@([A-Z]+)@", lambda match: words[match[1]], text)


def _inputs(record: Record) -> str:
    return "\n".join(f'    ("{name}", "{kind}"),' for name, kind in record.kinds().items())


def _features(record: Record) -> str:
    """Declare a count of each window and, of each number, its sum and mean within a day."""
    lines = [
        f'        Feature("count_{window}", "count", "{window}", '
        f'description="Events within {span}."),'
        for window, span in (("1h", "an hour"), ("1d", "a day"))
    ]
    for name, kind in record.kinds().items():
        if kind in ("BIGINT", "DOUBLE"):
            for aggregate in ("sum", "mean"):
                words = f"The {aggregate} of {name} within a day."
                lines += [
                    "        Feature(",
                    f'            "{name}_{aggregate}_1d",',
                    f'            "{aggregate}",',
                    '            "1d",',
                    f'            "{name}",',
                    f'            description="{words}",',
                    "        ),",
                ]
    return "\n".join(lines)
