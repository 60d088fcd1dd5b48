"""How much what counts: the methods as settings of one kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestration.recommendations.engine.scoring import Floats, Tables

FAR = 256
"""Items of a session at most, in queries and in the index."""
_SESSIONS = np.maximum(1.0, np.arange(4096, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Decay:
    """exp(-distance / length) in items; a length of None does not decay, 0 leaves all but 0 out.

    `linear`: 1 - distance / length instead, at least `least`. `first` replaces the first values.
    """

    length: float | None = None
    share: float = 1.0
    linear: bool = False
    least: float = 0.0
    first: tuple[float, ...] = ()

    def table(self) -> Floats:
        """Return the weights by distance, 0 first."""
        steps = np.arange(FAR + 1, dtype=np.float64)
        if self.length is None:
            table = np.ones_like(steps)
        elif self.length == 0:
            table = (steps == 0).astype(np.float64)
        elif self.linear:
            table = np.maximum(1 - steps / self.length, self.least)
        else:
            table = np.exp(-steps / self.length)
        table *= self.share
        table[: len(self.first)] = self.first
        return table


NEVER = Decay(share=0.0)


@dataclass(frozen=True, slots=True)
class Weights:
    """A method.

    `prefix`: the newest items of a session that count; `step`: how much, by steps back. `match`: of
    a neighbour, by the newest step that it shares. `forward`, `backward`: of a neighbour's items,
    by their distance from the shared one. `repeat`: the share of the greatest score that the
    session's own items gain, by steps back. `neighbours`: sessions that count at most; `postings`:
    the newest sessions of an item among which they are looked for. An item's score is multiplied by
    (`base` + `rarity` log(sessions / sessions with it)) (sessions with it) ** `popularity`. A
    neighbour's similarity is divided by its length to the power of `length`. `action`: of a view,
    addtocart, transaction. `hop`: how many of the best items a list that is too short is filled up
    from, by what is seen with those.
    """

    prefix: int = 30
    step: Decay = Decay()
    match: Decay = Decay()
    forward: Decay = Decay()
    backward: Decay = Decay()
    repeat: Decay = NEVER
    neighbours: int = 500
    postings: int = 1000
    length: float = 0.5
    base: float = 1.0
    rarity: float = 0.0
    popularity: float = 0.0
    action: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hop: int = 0

    def tables(self) -> Tables:
        """Return the weights, tabulated."""
        return Tables(
            step=self.step.table(),
            forward=self.forward.table(),
            backward=self.backward.table(),
            match=self.match.table(),
            action=np.array(self.action),
            repeat=self.repeat.table(),
            neighbours=self.neighbours,
            length=np.maximum(1.0, np.arange(FAR + 1)) ** self.length,
            base=self.base,
            rarity=self.rarity,
            popularity=self.popularity,
            log=np.log(_SESSIONS),
            power=_SESSIONS**self.popularity,
        )


SKNN = Weights()
"""Cosine of the sets of items (Jannach & Ludewig, RecSys 2017)."""
VMIS = Weights(
    prefix=100,
    step=Decay(10, linear=True, least=0.0),
    match=Decay(10, linear=True),
    length=0.0,
    base=0.0,
    rarity=1.0,
)
"""VMIS-kNN (Kersbergen et al., SIGMOD 2022), linear weights, m 1,000, k 500."""
STAN = Weights(step=Decay(1.5), forward=Decay(3.0), backward=Decay(3.0))
"""STAN without its decay of time (Garg et al., SIGIR 2019)."""
VSTAN = Weights(
    step=Decay(2.0), match=Decay(4.0), forward=Decay(3.0), backward=Decay(3.0), rarity=0.2
)
"""VSTAN without its decay of time (Ludewig et al., UMUAI 2021)."""
TUNED = Weights(
    step=Decay(1.5),
    match=Decay(6.0),
    forward=Decay(5.0),
    backward=Decay(5.0),
    repeat=Decay(6.0, share=0.7, first=(0.9, 2.2)),
    postings=300,
    length=0.3,
    rarity=1.0,
    popularity=-0.05,
    action=(1.0, 1.5, 2.0),
    hop=8,
)
"""VSTAN tuned on Retail Rocket, with a prior for repeats; the page of decision 16 has the figures.

The prior follows how often each earlier item is the next one: the one before the newest most often,
then the newest itself.
"""
