"""Let a job read copies of its topics, up to where the live one stopped, and write nothing.

A job whose declaration has changed is given the state that it would have if it had always been so:
the same topology reads what came before from copies (millrace/flink/handover.py), its savepoint is
the live job's beginning. Its tables are called otherwise, so that the places which the live job's
sources look for in that savepoint are not those in the copies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from processing.tables import sink_ddl, source_ddl, table_name

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

OPTION = "millrace.history"
"""Names the copies of a job's topics as JSON; absent for the live job."""
ENDING = "_history"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a job: its topics, or with `copies` (names in Kafka by topic) those of them."""

    group: str
    copies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: TableEnvironment, job: str) -> Tables:
        """Return those that this submission is to use."""
        told = json.loads(environment.get_config().get(OPTION, "{}"))
        return cls(told.get("group", f"millrace-{job}"), told.get("copies", {}))

    def name(self, topic: str) -> str:
        """Return the name of the table that stands for a topic to read."""
        return table_name(topic) + (ENDING if self.copies else "")

    def source(self, topic: str) -> str:
        """Return the CREATE TABLE of a topic to read."""
        if not self.copies:
            return source_ddl(topic, group=self.group)
        return source_ddl(topic, group=self.group, table=self.name(topic), read=self.copies[topic])

    def sink(self, topic: str, *, table: str | None = None) -> str:
        """Return the CREATE TABLE of a topic to write: of history, nothing is written."""
        return sink_ddl(topic, table=table, nowhere=bool(self.copies))
