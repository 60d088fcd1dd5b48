"""Lists of customers and terminals that are blocked or trusted, whatever the model says.

An entry names its list, the kind of entity and the id. Of two records of an entry that which stands
later in the log counts. From `until` on it is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import quote

from domain.events import Decision, FraudEntity, FraudList
from domain.fraud.rules import Rule, ruled

REASON = "list:"
"""The prefix of a list among the reasons of a decision."""
LISTS: tuple[FraudList, ...] = get_args(FraudList)
KINDS: tuple[FraudEntity, ...] = get_args(FraudEntity)
_FIELDS: Mapping[FraudEntity, str] = {"customer": "customer_id", "terminal": "terminal_id"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entity on a list since `since`, until `until` (None: for good); times in ms."""

    list: FraudList
    kind: FraudEntity
    id: str
    since: int
    until: int | None = None
    by: str = ""
    note: str = ""

    @property
    def entry_id(self) -> str:
        """Return the key of its records."""
        return entry_id(self.list, self.kind, self.id)

    @property
    def place(self) -> str:
        """Return which list it is on: `blocked/customer`."""
        return f"{self.list}/{self.kind}"

    @property
    def words(self) -> str:
        """Return the reason in words."""
        return f"The {self.kind} is on the list of {self.list} {self.kind}s"

    def holds(self, now: int) -> bool:
        """Return whether it has not expired."""
        return self.until is None or now < self.until

    def record(self) -> dict[str, Any]:
        """Return the FraudListEntry."""
        return {
            "entry_id": self.entry_id,
            "event_time": self.since,
            "list": self.list,
            "kind": self.kind,
            "id": self.id,
            "until": self.until,
            "by": self.by,
            "note": self.note,
        }


def entry_id(name: FraudList, kind: FraudEntity, entity: str) -> str:
    """Return the key of the records of an entry."""
    return f"{name}/{kind}/{quote(entity, safe='')}"


class Lists:
    """The entries that count, as of a place in their log."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._found: dict[tuple[FraudList, FraudEntity], dict[str, Entry]] = {
            (name, kind): {} for name in LISTS for kind in KINDS
        }
        self.offset = -1
        """The place of the last record taken up; -1: none."""

    def put(self, record: Mapping[str, Any], offset: int) -> None:
        """Take up a FraudListEntry."""
        entry = Entry(
            record["list"],
            record["kind"],
            record["id"],
            record["event_time"],
            record["until"],
            record["by"],
            record["note"],
        )
        self._entries[entry.entry_id] = entry
        self._found[entry.list, entry.kind][entry.id] = entry
        self.offset = offset

    def remove(self, key: str, offset: int) -> None:
        """Take up the removal of an entry, which need not be known."""
        if (entry := self._entries.pop(key, None)) is not None:
            del self._found[entry.list, entry.kind][entry.id]
        self.offset = offset

    def of(self, payment: Mapping[str, Any], now: int) -> list[Entry]:
        """Return the entries that hold of a payment's customer and terminal, blocked ones first."""
        return [
            entry
            for (_, kind), entries in self._found.items()
            if entries
            and (entry := entries.get(payment[_FIELDS[kind]])) is not None
            and entry.holds(now)
        ]

    def get(self, name: FraudList, kind: FraudEntity, entity: str, now: int) -> Entry | None:
        """Return an entry that holds, or None."""
        entry = self._found[name, kind].get(entity)
        return entry if entry is not None and entry.holds(now) else None

    def on(self, name: FraudList, kind: FraudEntity, now: int) -> Iterator[Entry]:
        """Yield the entries of a list that hold, in the order of their ids."""
        entries = self._found[name, kind]
        return (entries[entity] for entity in sorted(entries) if entries[entity].holds(now))


def decided(model: Decision, listed: Sequence[Entry], hits: Sequence[Rule]) -> Decision:
    """Return the decision that stands.

    A blocked entity's payment is blocked. Else a trusted one makes the model's decision an
    approval, and then active rules raise it.
    """
    lists = {entry.list for entry in listed}
    if "blocked" in lists:
        return "block"
    return ruled("approve" if "trusted" in lists else model, hits)
