"""Find the feature tables that products declare in their modules."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from domain.features.declaration import DeclarationError, FeatureSet
from domain.features.table import FeatureTable


def tables(modules: Iterable[ModuleType]) -> tuple[FeatureTable, ...]:
    """Return every FeatureTable that the modules declare, by name.

    Raise DeclarationError for two tables of one name.
    """
    found: dict[str, FeatureTable] = {}
    for module in modules:
        for table in vars(module).values():
            if isinstance(table, FeatureTable) and found.setdefault(table.name, table) is not table:
                raise DeclarationError(f"feature table {table.name!r} is declared twice")
    return tuple(found[name] for name in sorted(found))


def feature_sets(modules: Iterable[ModuleType]) -> dict[str, FeatureSet]:
    """Return every feature set of the modules' tables, by name."""
    return {
        feature_set.name: feature_set for table in tables(modules) for feature_set in table.sets
    }
