"""Simulate a shop's clicks with the shape and skew of Retail Rocket's, by the column.

What is exact: events, visitors, items, the mix of event types, the period. What is drawn: how many
events a visitor has (a power law, exponent 2.5), how popular items are (Zipf-Mandelbrot within
categories), sessions, and within a session what follows what. Items lie on a line, each as long as
it is popular, those of a category side by side; a visitor goes to what lies near the item before,
back to an item of the session, or elsewhere in the category. So there are repeats, co-visitation
and categories to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

START_MS = 1_430_622_000_000  # 2015-05-03T03:00:00Z
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
VIEW, CART, PURCHASE = 0, 1, 2
KINDS = ("view", "addtocart", "transaction")

# By hour (UTC) and weekday (Monday first): shares over the even one, as in the public slices.
HOURS = (
    *(1.38, 1.29, 1.32, 1.36, 1.43, 1.27, 0.69, 0.42, 0.14, 0.16, 0.18, 0.15),
    *(0.24, 0.55, 0.67, 1.04, 1.17, 1.62, 1.39, 1.76, 1.60, 1.68, 1.29, 1.20),
)
WEEKDAYS = (1.15, 1.13, 1.09, 1.00, 0.88, 0.80, 0.95)

_EXPONENT, _MOST_EVENTS = 2.5, 8000
_MANDELBROT = 105.0
# How likely a visitor's next event begins another session: a beta distribution, so that some
# visitors stay for long.
_NEW_SESSION, _LEAST_NEW = (0.6, 1.5), 0.02
_GAP_MEDIAN_S, _GAP_SIGMA, _LONGEST_GAP_S = 70.0, 1.35, 1790.0
# What the next click goes to: the item before, an earlier one of the session, a neighbour, another
# of the category; the rest goes anywhere.
_SAME, _BACK, _NEAR, _CATEGORY = 0.08, 0.215, 0.515, 0.14
_REACH = 9.0  # of a neighbour, in items of average popularity
_HOME = 0.5  # a visitor's later session begins near the first one's items


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the shop; the defaults are Retail Rocket's."""

    events: int = 2_756_101
    visitors: int = 1_407_580
    items: int = 235_061
    carts: int = 69_332
    transactions: int = 22_457
    days: int = 138
    categories: int = 1_669

    @classmethod
    def of(cls, events: int) -> Shape:
        """Return the shape with that many events, everything but the days in proportion."""
        whole = cls()
        share = events / whole.events
        return cls(
            events=events,
            visitors=max(1, round(whole.visitors * share)),
            items=max(1, min(events // 4 + 1, round(whole.items * share))),
            carts=round(whole.carts * share),
            transactions=round(whole.transactions * share),
            days=whole.days,
            categories=max(2, min(whole.categories, round(whole.items * share / 20))),
        )


@dataclass(frozen=True, slots=True)
class Clicks:
    """Events by the column, session after session. `orders` is -1 but for transactions.

    `categories` has the category of each item, by the item's number.
    """

    times: Ints
    visitors: Ints
    kinds: NDArray[np.int8]
    items: Ints
    orders: Ints
    sessions: Ints
    categories: Ints


@dataclass(frozen=True, slots=True)
class Shelf:
    """The items on their line: where each one lies, and each one's category."""

    starts: Floats
    ends: Floats
    category: Ints
    first: Floats
    last: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: Shape) -> Shelf:
        """Return a line of items, those of a category side by side."""
        # Categories differ in size as popularity does, less steeply.
        sizes = 1.0 / (np.arange(shape.categories) + 10.0)
        category = np.sort(rng.choice(shape.categories, shape.items, p=sizes / sizes.sum()))
        width = (1.0 / (rng.permutation(shape.items) + _MANDELBROT)).astype(np.float64)
        ends = np.cumsum(width / width.sum()) * shape.items
        starts = ends - np.diff(ends, prepend=0.0)
        edges = np.flatnonzero(np.diff(category, prepend=-1))
        group = np.cumsum(np.diff(category, prepend=-1) != 0) - 1
        last = np.append(starts[edges[1:]], ends[-1])
        return cls(starts, ends, category, starts[edges][group], last[group])

    def at(self, places: Floats) -> Ints:
        """Return the items at places of the line."""
        return np.minimum(np.searchsorted(self.ends, places, side="right"), len(self.ends) - 1)


def clicks(shape: Shape, seed: int) -> Clicks:
    """Return the events of a shop; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    counts = _counts(rng, shape)
    visitor_of_event = np.repeat(np.arange(shape.visitors), counts)
    first_of_visitor = np.zeros(shape.events, bool)
    first_of_visitor[np.cumsum(counts) - counts] = True
    restless = np.maximum(rng.beta(*_NEW_SESSION, shape.visitors), _LEAST_NEW)
    begins = first_of_visitor | (rng.random(shape.events) < restless[visitor_of_event])
    session = np.cumsum(begins) - 1
    starts = np.flatnonzero(begins)
    of_visitor = visitor_of_event[starts]
    shelf = Shelf.draw(rng, shape)
    items = _items(rng, shelf, starts, shape.events, of_visitor)
    position = np.arange(shape.events) - starts[session]
    kinds, items = _kinds(rng, shape, session, position, items)
    _show_all(rng, shape, position, session, items)
    times = _times(rng, shape, starts, session, of_visitor)
    return Clicks(
        times=times,
        visitors=rng.permutation(shape.visitors)[visitor_of_event],
        kinds=kinds,
        items=items,
        orders=_orders(rng, kinds, session),
        sessions=session,
        categories=shelf.category,
    )


def _counts(rng: np.random.Generator, shape: Shape) -> Ints:
    """Return the number of events of each visitor: at least one, in all as many as asked for."""
    sizes = np.arange(1, _MOST_EVENTS + 1)
    weights = sizes**-_EXPONENT
    sure = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(shape.visitors)) + 1
    counts: Ints = np.minimum(sure, max(1, shape.events - shape.visitors + 1)).astype(np.int64)
    while difference := shape.events - int(counts.sum()):
        # A few visitors more or less: where there are several events, one is hardly seen.
        able = np.flatnonzero(counts > 1) if difference < 0 else np.arange(shape.visitors)
        chosen = rng.choice(able, min(abs(difference), len(able)), replace=False)
        counts[chosen] += np.sign(difference)
    return counts


def _items(
    rng: np.random.Generator, shelf: Shelf, starts: Ints, events: int, of_visitor: Ints
) -> Ints:
    """Return each event's item: position by position, all sessions at once."""
    lengths = np.diff(np.append(starts, events))
    items = np.empty(events, np.int64)
    whole = shelf.ends[-1]
    first = rng.random(len(starts)) * whole
    # Later sessions of a visitor begin near the first one's item.
    opener = np.zeros(len(starts), bool)
    opener[np.flatnonzero(np.diff(of_visitor, prepend=-1))] = True
    home = first[np.maximum.accumulate(np.where(opener, np.arange(len(starts)), 0))]
    back = ~opener & (rng.random(len(starts)) < _HOME)
    first = np.where(back, home + rng.laplace(0, _REACH, len(starts)), first)
    items[starts] = shelf.at(np.clip(first, 0, whole * (1 - 1e-12)))
    for position in range(1, int(lengths.max(initial=0))):
        at = starts[lengths > position] + position
        before = items[at - 1]
        draw = rng.random(len(at))
        low, high = shelf.first[before], shelf.last[before]
        # Beside the item itself, on either side, and round the category's ends.
        beside = rng.laplace(0, _REACH, len(at))
        edge = np.where(beside > 0, shelf.ends[before], shelf.starts[before])
        near = low + np.mod(edge + beside - low, high - low)
        within = low + rng.random(len(at)) * (high - low)
        limits = np.cumsum([_SAME, _BACK, _NEAR, _CATEGORY])
        step = np.searchsorted(limits, draw, side="right")
        places = np.choose(step, [near, near, near, within, rng.random(len(at)) * whole])
        chosen = shelf.at(places)
        earlier = items[at - 1 - (rng.random(len(at)) * position).astype(np.int64)]
        items[at] = np.where(step == 0, before, np.where(step == 1, earlier, chosen))
    return items


def _kinds(
    rng: np.random.Generator, shape: Shape, session: Ints, position: Ints, items: Ints
) -> tuple[NDArray[np.int8], Ints]:
    """Return event types and items: what is viewed may be put into the cart, and then bought.

    In each block of four events at most one item is: the second event puts the first's item into
    the cart, the third buys it.
    """
    kinds = np.zeros(shape.events, np.int8)
    blocks = np.arange(0, shape.events - 2, 4)
    pairs = blocks[session[blocks] == session[blocks + 1]]
    triples = pairs[session[pairs] == session[pairs + 2]]
    bought = rng.choice(triples, min(shape.transactions, len(triples)), replace=False)
    left = np.setdiff1d(pairs, bought, assume_unique=True)
    carted = rng.choice(left, min(shape.carts - len(bought), len(left)), replace=False)
    for first in (bought, carted):
        kinds[first + 1] = CART
        items[first + 1] = items[first]
    kinds[bought + 2] = PURCHASE
    items[bought + 2] = items[bought]
    return kinds, items


def _show_all(
    rng: np.random.Generator, shape: Shape, position: Ints, session: Ints, items: Ints
) -> None:
    """Give items that nobody saw a session of one event that had a popular item."""
    seen = np.bincount(items, minlength=shape.items)
    unseen = np.flatnonzero(seen == 0)
    alone = position == 0
    alone[:-1] &= session[1:] != session[:-1]
    able = np.flatnonzero(alone & (seen[items] >= min(20, int(seen.max()))))
    # Each popular item keeps one event at least.
    _, kept = np.unique(items[able], return_index=True)
    able = np.delete(able, kept)
    if len(able) < len(unseen):
        able = np.flatnonzero(seen[items] > 1)
        _, kept = np.unique(items[able], return_index=True)
        able = np.delete(able, kept)
    items[rng.choice(able, min(len(unseen), len(able)), replace=False)] = unseen[: len(able)]


def _times(
    rng: np.random.Generator, shape: Shape, starts: Ints, session: Ints, of_visitor: Ints
) -> Ints:
    """Return each event's time in ms: sessions by the rhythm of day and week, clicks by gaps."""
    days = np.arange(shape.days)
    first_day = (START_MS // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    weights = np.array(WEEKDAYS)[(first_day + days) % 7]
    cumulated = np.cumsum(weights / weights.sum())
    day = np.searchsorted(cumulated, rng.random(len(starts)))
    # A visitor comes back after some days, and again on a day of the rhythm.
    opener = np.flatnonzero(np.diff(of_visitor, prepend=-1))
    which = np.zeros(len(starts), np.int64)
    which[opener] = opener
    home = day[np.maximum.accumulate(which)]
    later = home + rng.exponential(9.0, len(starts)).astype(np.int64)
    soon = (rng.random(len(starts)) < 0.8) & (later < shape.days)
    keep = rng.random(len(starts)) < weights[np.minimum(later, shape.days - 1)] / weights.max()
    returning = np.ones(len(starts), bool)
    returning[opener] = False
    day = np.where(returning & soon & keep, later, day)
    hours = np.cumsum(HOURS) / sum(HOURS)
    hour = np.searchsorted(hours, rng.random(len(starts)))
    begin = START_MS - 3 * HOUR_MS + day * DAY_MS + hour * HOUR_MS
    begin = begin + rng.integers(0, HOUR_MS, len(starts))
    # The first and the last day are cut at three o'clock, as the published ones are.
    begin = np.where(begin < START_MS, begin + shape.days * DAY_MS, begin)
    seconds = _GAP_MEDIAN_S * np.exp(rng.normal(0, _GAP_SIGMA, len(session)))
    gaps = (np.minimum(seconds, _LONGEST_GAP_S) * 1000).astype(np.int64) + 1
    gaps[starts] = 0
    since = np.cumsum(gaps)
    since -= since[starts][session]
    lasts = since[np.append(starts[1:], len(session)) - 1]
    begin = np.minimum(begin, START_MS + shape.days * DAY_MS - 1 - lasts)
    times: Ints = begin[session] + since
    return times


def _orders(rng: np.random.Generator, kinds: NDArray[np.int8], session: Ints) -> Ints:
    """Return the transaction ids: what a session buys is one order."""
    orders = np.full(len(kinds), -1, np.int64)
    bought = np.flatnonzero(kinds == PURCHASE)
    ids, of_purchase = np.unique(session[bought], return_inverse=True)
    orders[bought] = rng.permutation(len(ids))[of_purchase]
    return orders
