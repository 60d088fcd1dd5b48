"""Every product's features. A product is listed by having a module in this folder that declares a FeatureTable."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

import domain.features
from domain.features.declaration import FeatureSet
from domain.features.table import FeatureTable


@lru_cache(maxsize=1)
def tables() -> tuple[FeatureTable, ...]:
    """Every FeatureTable declared in domain/features, by name."""
    found: dict[str, FeatureTable] = {}
    for module in pkgutil.iter_modules(domain.features.__path__):
        if module.name == "registry":
            continue
        declared = vars(importlib.import_module(f"domain.features.{module.name}")).values()
        found |= {table.name: table for table in declared if isinstance(table, FeatureTable)}
    return tuple(found[name] for name in sorted(found))


def feature_sets() -> dict[str, FeatureSet]:
    """Every feature set of every product, by name."""
    return {feature_set.name: feature_set for table in tables() for feature_set in table.sets}
