"""A product's feature topic: what is carried, what is computed, what a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.features.declaration import (
    DeclarationError,
    DerivedFeature,
    FeatureSet,
    RowFeature,
    Type,
)
from domain.features.version import version_of


@dataclass(frozen=True, slots=True)
class Relay:
    """A log between two feature sets of a job: what leaves `after`, as the next set reads it.

    `record` names the generated schema (ingestion/schema/<record>.avsc), `key` the field that the
    next set is keyed by; `omit` are the inputs that the log itself gives anew.
    """

    record: str
    description: str
    key: str
    after: FeatureSet
    omit: tuple[str, ...] = ()

    def columns(self) -> dict[str, Type]:
        """The inputs, the features of `after` and its mark of lateness, with their types."""
        types = {name: kind for name, kind in self.after.inputs if name not in self.omit}
        added = self.after.columns()
        added.pop(self.after.duplicate)
        return types | added


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """A product's feature topic.

    What it carries beside the features, and which of them a model reads, in order.

    `record` names the generated schema (ingestion/schema/<record>.avsc); `carried` are its leading
    Avro fields. `derived` are computed from the features of all sets, `relays` are the logs that
    the job may put between its feature sets.
    """

    name: str
    record: str
    description: str
    key: str
    carried: tuple[Mapping[str, Any], ...]
    rows: tuple[RowFeature, ...]
    sets: tuple[FeatureSet, ...]
    model: tuple[str, ...]
    derived: tuple[DerivedFeature, ...] = ()
    relays: tuple[Relay, ...] = ()
    version: str = field(init=False)
    """`<name>-<digest>`: follows from the rest, its sets included (domain/features/version.py)."""

    def __post_init__(self) -> None:
        """Refuse model features that nobody computes, or that are no numbers."""
        what = f"feature table {self.name!r}"
        names = [row.name for row in self.rows] + [derived.name for derived in self.derived]
        names += [feature.name for declared in self.sets for feature in declared.features]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DeclarationError(f"{what}: names used twice: {', '.join(twice)}")
        if len(set(self.model)) != len(self.model):
            raise DeclarationError(f"{what}: a model feature is named twice")
        for name in self.model:
            known = name in {field["name"] for field in self.carried} or name in self.computed()
            if not known:
                raise DeclarationError(f"{what}: nobody computes {name!r}")
            if self.computed().get(name, "DOUBLE") not in ("BIGINT", "DOUBLE"):
                raise DeclarationError(f"{what}: {name!r} is no number")
        object.__setattr__(self, "version", version_of(self))

    def computed(self) -> dict[str, Type]:
        """Every row feature, feature and derived feature by name, with its type."""
        types: dict[str, Type] = {row.name: row.type for row in self.rows}
        for feature_set in self.sets:
            inputs = dict(feature_set.inputs)
            types |= {feature.name: feature.type(inputs) for feature in feature_set.features}
        return types | {derived.name: derived.type for derived in self.derived}

    def derive(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the derived features of a row that went through every feature set."""
        return {derived.name: derived.python(row) for derived in self.derived}

    def descriptions(self) -> dict[str, str]:
        """What each computed feature means, by name."""
        texts = {row.name: row.description for row in self.rows}
        for feature_set in self.sets:
            texts |= {feature.name: feature.description for feature in feature_set.features}
        return texts | {derived.name: derived.description for derived in self.derived}
