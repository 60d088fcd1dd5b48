"""Decide whether a challenger takes the champion's place: declared limits, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestration.training.paired import Difference

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a challenger must reach on the held-out window.

    `counts` says what the window must hold at least, for instance rows, and rows of the rare class.
    `worse_by` names the metrics compared, each with how much worse than the champion's it may be;
    `at_least` names metrics with a floor that holds without a champion, too. More is better in
    every one of them. `surely_worse` lets one pass that is worse beyond doubt within `worse_by`.
    """

    counts: Mapping[str, int]
    worse_by: Mapping[str, float]
    at_least: Mapping[str, float] = field(default_factory=dict)
    surely_worse: bool = False


@dataclass(frozen=True, slots=True)
class Champion:
    """The model in use, as the gate sees it.

    `metrics` are measured on the challenger's held-out window; None if it cannot be measured there,
    for instance because it reads features that are no longer computed. `until` is the end of the
    window it was retrained on, in ms; None for a model of another origin. `differences` say how
    sure it is that the challenger's metrics differ.
    """

    version: str
    metrics: Metrics | None
    until: int | None = None
    differences: Mapping[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the gate, in numbers and in words."""

    name: str
    met: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer: `passed` when every condition is met."""

    challenger: str
    champion: str | None
    conditions: tuple[Condition, ...]

    @property
    def passed(self) -> bool:
        """Return whether the challenger may be promoted."""
        return all(one.met for one in self.conditions)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return what speaks against it, in words."""
        return tuple(one.detail for one in self.conditions if not one.met)

    def document(self) -> dict[str, Any]:
        """Return the verdict as JSON holds it."""
        return {**asdict(self), "passed": self.passed, "reasons": list(self.reasons)}


def judge(
    challenger: str,
    metrics: Metrics,
    until: int,
    champion: Champion | None,
    limits: Limits,
    *,
    withdrawn: bool = False,
) -> Verdict:
    """Return the verdict on a challenger.

    `metrics` are its own on the held-out window, with the counts of that window; `until` is the end
    of the window it was trained on, in ms. `withdrawn` says that a person took it out of use
    before: no schedule brings it back.
    """
    conditions = [*_window(metrics, limits), *_floors(metrics, limits)]
    conditions.append(
        Condition("not withdrawn", not withdrawn, f"{challenger} was withdrawn by a person")
        if withdrawn
        else Condition("not withdrawn", True, "nobody withdrew it")
    )
    if champion is not None and champion.version != challenger:
        conditions += [_newer(until, champion), *_compared(metrics, champion, limits)]
    return Verdict(challenger, champion.version if champion else None, tuple(conditions))


def _window(metrics: Metrics, limits: Limits) -> Iterator[Condition]:
    for name, least in limits.counts.items():
        found = int(metrics[name])
        yield Condition(name, found >= least, f"{found} {name} held out, at least {least}")


def _floors(metrics: Metrics, limits: Limits) -> Iterator[Condition]:
    for name, least in limits.at_least.items():
        found = metrics[name]
        yield Condition(name, found >= least, f"{name} {found:.4f}, at least {least:.4f}")


def _newer(until: int, champion: Champion) -> Condition:
    """Keep a backfill, or a step run again, from putting an old model in a newer one's place."""
    if champion.until is None:
        return Condition("newer", True, f"{champion.version} is no model of a retraining")
    newer = until >= champion.until
    words = "data not older" if newer else "data older"
    return Condition("newer", newer, f"{words} than that of {champion.version}")


def _compared(metrics: Metrics, champion: Champion, limits: Limits) -> Iterator[Condition]:
    if champion.metrics is None:
        yield Condition("comparison", True, f"{champion.version} cannot be measured here any more")
        return
    for name, slack in limits.worse_by.items():
        own, its = metrics[name], champion.metrics[name]
        words = f"{name} {own:.4f}, champion {its:.4f}, at most {slack:.4f} worse"
        # NaN on either side is no proof of being as good.
        yield Condition(f"{name} against champion", own >= its - slack, words)
    if limits.surely_worse:
        return
    for name, one in champion.differences.items():
        words = f"{name} against champion {one.words}"
        sure = one.high >= 0
        yield Condition(
            f"{name} not surely worse", sure, words if sure else f"surely worse: {words}"
        )
