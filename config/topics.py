"""Topics as declared in `topics.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `schema` names ingestion/schema/<schema>.avsc, `key` the field whose text is the record key."""

    name: str
    key: str
    schema: str
    partitions: int
    replication: int
    retention_hours: int

    @property
    def subject(self) -> str:
        """The registry subject of the value (TopicNameStrategy)."""
        return f"{self.name}-value"


@lru_cache(maxsize=1)
def topics() -> dict[str, Topic]:
    """Every topic by name, in the file's order."""
    declared = yaml.safe_load((Path(__file__).parent / "topics.yaml").read_text())
    return {name: Topic(name=name, **{**declared["defaults"], **body}) for name, body in declared["topics"].items()}
