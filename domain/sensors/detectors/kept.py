"""Keep the detectors of one sensor, by the name of the rule that each belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain.sensors.detectors.novelty import Novelty
from domain.sensors.detectors.shape import ShapeNovelty


@dataclass(slots=True)
class Detectors:
    """A detector for each rule that has one; `shapes` makes what compares shapes."""

    shapes: Callable[[], ShapeNovelty] = ShapeNovelty
    known: dict[str, Novelty] = field(default_factory=dict)

    def of(self, name: str) -> Novelty:
        """Return the detector of a rule, a new one if there is none."""
        if name not in self.known:
            self.known[name] = Novelty(shapes=self.shapes())
        return self.known[name]

    def keep(self, names: set[str]) -> None:
        """Forget the detectors of other rules."""
        for name in self.known.keys() - names:
            del self.known[name]

    def dump(self) -> dict[str, tuple[Any, ...]]:
        """Return their states as plain values."""
        return {name: one.dump() for name, one in self.known.items()}

    @classmethod
    def load(
        cls, kept: dict[str, tuple[Any, ...]], shapes: Callable[[], ShapeNovelty]
    ) -> Detectors:
        """Invert `dump`."""
        known = {name: Novelty.load(one, shapes()) for name, one in kept.items()}
        return cls(shapes, known)
