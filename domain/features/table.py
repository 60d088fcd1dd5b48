"""Declare a product's feature topic: fields carried, values computed, model inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.features.declaration import (
    DeclarationError,
    DerivedFeature,
    FeatureSet,
    RowFeature,
    Type,
)


@dataclass(frozen=True, slots=True)
class Relay:
    """A log between two feature sets of a job: the output of `after`, as the next set reads it.

    `record` names the generated schema (ingestion/schema/<record>.avsc), `key` the field that the
    next set is keyed by; `omit` are the inputs that the log itself supplies afresh.
    """

    record: str
    description: str
    key: str
    after: FeatureSet
    omit: tuple[str, ...] = ()

    def columns(self) -> dict[str, Type]:
        """Return the inputs, the features of `after` and its late mark, with their types."""
        types = {name: kind for name, kind in self.after.inputs if name not in self.omit}
        added = self.after.columns()
        added.pop(self.after.duplicate)
        return types | added


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """A product's feature topic.

    It declares what the topic carries beside the features, and which features a model reads, in
    order.

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

    def __post_init__(self) -> None:
        """Raise DeclarationError for repeated names and for model features that are unusable."""
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
                raise DeclarationError(f"{what}: model feature {name!r} is not computed")
            if self.computed().get(name, "DOUBLE") not in ("BIGINT", "DOUBLE"):
                raise DeclarationError(f"{what}: model feature {name!r} is not a number")

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the fields of the feature record: those carried, then the model's others."""
        carried = (str(one["name"]) for one in self.carried)
        return tuple(dict.fromkeys([*carried, *self.model]))

    def computed(self) -> dict[str, Type]:
        """Return every row feature, feature and derived feature by name, with its type."""
        types: dict[str, Type] = {row.name: row.type for row in self.rows}
        for feature_set in self.sets:
            inputs = dict(feature_set.inputs)
            types |= {feature.name: feature.type(inputs) for feature in feature_set.features}
        return types | {derived.name: derived.type for derived in self.derived}

    def derive(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the derived features of a row that went through every feature set."""
        return {derived.name: derived.python(row) for derived in self.derived}

    def descriptions(self) -> dict[str, str]:
        """Return the description of each computed feature, by name."""
        texts = {row.name: row.description for row in self.rows}
        for feature_set in self.sets:
            texts |= {feature.name: feature.description for feature in feature_set.features}
        return texts | {derived.name: derived.description for derived in self.derived}
