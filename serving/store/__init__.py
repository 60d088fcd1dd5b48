"""Keep consumers' values: one set of rules, several stores."""

from __future__ import annotations

from serving.store.memory import MemoryStore
from serving.store.model import Index, Rule, Store, Stored, StoreRestartedError, Write
from serving.store.redis import RedisStore, parse_version

__all__ = [
    "Index",
    "MemoryStore",
    "RedisStore",
    "Rule",
    "Store",
    "StoreRestartedError",
    "Stored",
    "Write",
    "parse_version",
]
