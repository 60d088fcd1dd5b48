"""Load the metrics that `metrics.yaml` declares.

The conventions of names: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from config.errors import UserError
from config.files import mapping

FILE = Path(__file__).parent / "metrics.yaml"
Type = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: who serves it, its type, the unit of its value, its labels and its meaning."""

    name: str
    process: str
    type: Type
    unit: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names of its series."""
        if self.type == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Type
    unit: str = Field(pattern=r"^[a-z]+$")
    labels: tuple[str, ...] = ()
    meaning: str = Field(min_length=1)


_FILE = TypeAdapter(dict[str, dict[str, _Declared]])


@lru_cache(maxsize=4)
def metrics(file: Path = FILE) -> dict[str, Metric]:
    """Return every metric by name. Raise UserError for a declaration that cannot be read."""
    try:
        declared = _FILE.validate_python(mapping(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{file}: {where}: {first['msg']}") from None
    found: dict[str, Metric] = {}
    for process, several in declared.items():
        for name, one in several.items():
            if name in found:
                raise UserError(f"{file}: {name} is declared twice")
            found[name] = Metric(name, process, one.type, one.unit, one.labels, one.meaning)
    return found
