"""Keep the detectors of one sensor, by the name of the rule that each belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain.sensors.detectors.novelty import Novelty
from domain.sensors.detectors.rarity import Rarity
from domain.sensors.detectors.shape import ShapeNovelty
from domain.sensors.kinds import Detected, Novel, memory


class Judged(Protocol):
    """A detector's judgement of a reading."""

    @property
    def alarm(self) -> bool:
        """Return whether somebody should hear of it."""
        ...

    @property
    def told(self) -> str:
        """Return it in words."""
        ...


@dataclass(slots=True)
class Detectors:
    """A detector for each rule that has one; `shapes` makes what compares shapes."""

    shapes: Callable[[], ShapeNovelty] = ShapeNovelty
    known: dict[str, Novelty | Rarity] = field(default_factory=dict)

    def judge(self, name: str, rule: Detected, reading: float) -> Judged:
        """Judge a reading by the detector of a rule, a new one if there is none; it learns it."""
        if name not in self.known:
            new = isinstance(rule, Novel)
            self.known[name] = Novelty(shapes=self.shapes()) if new else Rarity()
        return self.known[name].judge(reading)

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
        """Invert `dump`; a rule's name begins with its kind of detector."""
        known = {
            name: Novelty.load(one, shapes()) if name.startswith(_NOVEL) else Rarity.load(one)
            for name, one in kept.items()
        }
        return cls(shapes, known)


_NOVEL = memory(Novel("")).split()[0] + " "
