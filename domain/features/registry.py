"""Every product's features.

A product is listed by having a module `domain/<product>/features.py` that declares a FeatureTable.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import lru_cache

import domain
from domain.features.declaration import FeatureSet
from domain.features.table import FeatureTable


@lru_cache(maxsize=1)
def tables() -> tuple[FeatureTable, ...]:
    """Every FeatureTable declared in a product's features, by name."""
    found: dict[str, FeatureTable] = {}
    for package in pkgutil.iter_modules(domain.__path__):
        name = f"domain.{package.name}.features"
        if not package.ispkg or importlib.util.find_spec(name) is None:
            continue
        declared = vars(importlib.import_module(name)).values()
        found |= {table.name: table for table in declared if isinstance(table, FeatureTable)}
    return tuple(found[name] for name in sorted(found))


def feature_sets() -> dict[str, FeatureSet]:
    """Every feature set of every product, by name."""
    return {feature_set.name: feature_set for table in tables() for feature_set in table.sets}
