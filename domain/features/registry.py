"""Find the feature tables that products declare in their modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType

from domain.features.declaration import DeclarationError, FeatureSet
from domain.features.graph import Graph
from domain.features.table import FeatureTable
from domain.features.version import version_of


def tables(modules: Iterable[ModuleType]) -> tuple[FeatureTable, ...]:
    """Return every FeatureTable that the modules declare, by itself or in a Graph, by name.

    Raise DeclarationError for two tables of one name.
    """
    found: dict[str, FeatureTable] = {}
    for one in _declared(modules):
        table = one.table if isinstance(one, Graph) else one
        if found.setdefault(table.name, table) is not table:
            raise DeclarationError(f"feature table {table.name!r} is declared twice")
    return tuple(found[name] for name in sorted(found))


def versions(modules: Iterable[ModuleType]) -> dict[str, str]:
    """Return the version of each table's records, by the table's name.

    It is that of the table's graph; a table that no graph of the modules fills has its own.
    """
    declared = sorted(_declared(modules), key=lambda one: isinstance(one, Graph))
    return {one.name: version_of(one) for one in declared}


def feature_sets(modules: Iterable[ModuleType]) -> dict[str, FeatureSet]:
    """Return every feature set of the modules' tables, by name."""
    return {
        feature_set.name: feature_set for table in tables(modules) for feature_set in table.sets
    }


def _declared(modules: Iterable[ModuleType]) -> Iterator[FeatureTable | Graph]:
    for module in modules:
        for one in vars(module).values():
            if isinstance(one, FeatureTable | Graph):
                yield one
