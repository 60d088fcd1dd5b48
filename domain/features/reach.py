"""Say how far back the features of a table reach, through the features that they are made of."""

from __future__ import annotations

from collections.abc import Iterable

from domain.features.declaration import FeatureSet, Window

Chain = tuple[Window, ...]
"""A window, then that of a feature which its rows were given, and so on."""


class Reach:
    """Where what bears on a row begins.

    A feature over rows of 30 days, of which each holds a feature over 14 days, reaches back 44.
    """

    def __init__(self, sets: Iterable[FeatureSet]) -> None:
        found: set[Chain] = set()
        known: dict[str, set[Chain]] = {}
        for one in sets:
            found |= {(window,) for window in one.windows}
            for feature in one.features:
                window = one.window(feature.window)
                behind = {chain for name in feature.reads for chain in known.get(name, ())}
                known[feature.name] = {(window,), *((window, *chain) for chain in behind)}
                found |= known[feature.name]
        # A tile's begin is at most a tile before what its window covers, so others never win.
        least = max(_length(chain) - sum(one.tile_ms for one in chain) for chain in found)
        self._chains = tuple(chain for chain in found if _length(chain) >= least)

    def begin(self, time: int) -> int:
        """Return where the first tile that bears on a row of `time` begins (ms)."""
        return min(_begin(chain, time) for chain in self._chains)


def _length(chain: Chain) -> int:
    return sum(one.length_ms for one in chain)


def _begin(chain: Chain, time: int) -> int:
    for one in chain:
        time = (time // one.tile_ms - one.tiles + 1) * one.tile_ms
    return time
