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
    """A log between two feature sets of a job: what rows hold, as the next set reads them.

    `record` names the generated schema (ingestion/schema/<record>.avsc), `key` the field that the
    next set is keyed by; `after` are the sets that rows have gone through, in order, and `omit` the
    inputs that the log itself supplies afresh.
    """

    record: str
    description: str
    key: str
    after: tuple[FeatureSet, ...]
    omit: tuple[str, ...] = ()

    def columns(self) -> dict[str, Type]:
        """Return the inputs, the features of `after` and their late marks, with their types."""
        types: dict[str, Type] = {}
        for one in self.after:
            types |= {name: kind for name, kind in one.inputs if name not in self.omit}
        for one in self.after:
            types |= {name: kind for name, kind in one.columns().items() if name != one.duplicate}
        return types


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """A product's feature topic.

    It declares what the topic carries beside the features, and which features a model reads, in
    order. With `whole` it carries every computed feature, else the model's alone.

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
    whole: bool = False
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
        """Return the fields of the feature record: those carried, then the features."""
        carried = (str(one["name"]) for one in self.carried)
        return tuple(dict.fromkeys([*carried, *self.features]))

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features that the record holds: the model's, then the others if `whole`."""
        return tuple(dict.fromkeys([*self.model, *(self.computed() if self.whole else ())]))

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
