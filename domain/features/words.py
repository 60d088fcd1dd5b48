"""Say what a feature's value means in a plain sentence, from the feature's declaration.

    Amount is 4.2 times this customer's 30-day mean
    Payments of the customer within the last hour, this one included: 7

A product adds sentences of its own for features whose declaration says too little (`Words`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from domain.features.declaration import DAY, HOUR, MINUTE, SECOND, Feature, FeatureSet, Window
from domain.features.table import FeatureTable

Say = Callable[[float], str]
"""Return the sentence for a known value."""

_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
_SINCE = "Seconds since "
_SMALL = 0.01


class Words:
    """Sentences about the features of a table; `own` has a product's, by name."""

    def __init__(self, table: FeatureTable, own: Mapping[str, Say] | None = None) -> None:
        self._titles = {
            name: text.rstrip(".") or name for name, text in table.descriptions().items()
        }
        self._say: dict[str, Say] = {
            feature.name: say
            for declared in table.sets
            for feature in declared.features
            if (say := _of(declared, feature, self._titles[feature.name])) is not None
        }
        self._say |= own or {}

    def sentence(self, name: str, value: float | None) -> str:
        """Return what `value` of the feature `name` means; None stands for an unknown one.

        A feature that the table does not compute is told by its name.
        """
        title = self._titles.get(name, name)
        if value is None or math.isnan(value):
            return f"{title}: not known"
        say = self._say.get(name)
        return f"{title}: {number(value)}" if say is None else say(value)


def number(value: float) -> str:
    """Return a number for a person: whole, or with two digits after the point.

    >>> number(1234567.0), number(3.14159), number(0.00123)
    ('1,234,567', '3.14', '0.00123')
    """
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < _SMALL else f"{value:,.2f}"


def percent(share: float) -> str:
    """Return a share of 1 as a percentage.

    >>> percent(0.6), percent(0.0125)
    ('60 %', '1.2 %')
    """
    return f"{share * 100:.3g} %" if abs(share) >= 0.1 else f"{share * 100:.2g} %"


def duration(milliseconds: float) -> str:
    """Return a time span in the largest unit of which there are two, rounded down.

    >>> duration(90_000), duration(7_200_000), duration(400)
    ('90 seconds', '2 hours', '0 seconds')
    """
    size, unit = next(
        ((size, unit) for size, unit in _UNITS if milliseconds >= 2 * size), _UNITS[-1]
    )
    count = int(milliseconds // size)
    return f"{count} {unit}" + ("" if count == 1 else "s")


def adjective(window: Window) -> str:
    """Return a window's span as an adjective.

    >>> adjective(Window("30d", DAY, 30)), adjective(Window("1h", 5 * MINUTE, 12))
    ('30-day', '1-hour')
    """
    size, unit = next(one for one in _UNITS if window.length_ms % one[0] == 0)
    return f"{window.length_ms // size}-{unit}"


def rounding(window: Window) -> str:
    """Return what part of the past a window covers, as its oldest tile is counted whole.

    >>> rounding(Window("1h", 5 * MINUTE, 12)), rounding(Window("30d", DAY, 30))
    ('the last 55 to 60 minutes', 'the last 29 to 30 days')
    """
    size, unit = next(one for one in _UNITS if window.tile_ms % one[0] == 0)
    least, most = (window.tile_ms // size * tiles for tiles in (window.tiles - 1, window.tiles))
    return f"the last {least} to {most} {unit}{'' if most == 1 else 's'}"


def _of(declared: FeatureSet, feature: Feature, title: str) -> Say | None:
    """Return how to say a feature's value, None where its title and the number say enough."""
    what = (feature.column or "").replace("_", " ").capitalize()
    # Of an entity that is a combination: "this customer's 30-day mean at this terminal".
    owner, _, place = declared.entity.partition(" at ")
    where = f" at this {place}" if place else ""
    mean = f"this {owner}'s {adjective(declared.window(feature.window))} mean{where}"
    if feature.aggregate == "ratio":
        return lambda value: f"{what} is {value:.1f} times {mean}"
    if feature.aggregate == "zscore":
        return lambda value: (
            f"{what} lies {abs(value):.1f} standard deviations "
            f"{'above' if value >= 0 else 'below'} {mean}"
        )
    if feature.aggregate == "share":
        return lambda value: f"{title}: {percent(value)}"
    if feature.aggregate == "seconds_since" and title.startswith(_SINCE):
        since = title.removeprefix(_SINCE)
        return lambda value: f"{duration(value * SECOND)} since {since}"
    return None
