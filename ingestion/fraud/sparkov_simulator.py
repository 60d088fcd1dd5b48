"""Simulate card payments in Sparkov's published columns, for tests and trials.

Holders live within 15 km of one of a few towns and pay, by day, in categories that they prefer,
amounts that go with the category. A stolen card is used for two days, mostly at night, in few
categories, for large amounts, farther away. Not a copy of Sparkov's generator: only the columns and
the kind of fraud are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from config import files
from config.errors import UserError
from ingestion.fraud.payment_files import check
from ingestion.fraud.sparkov import HEADER

START_MS = 1_546_300_800_000  # 2019-01-01
DAY_MS = 86_400_000
CATEGORIES = (
    *("entertainment", "food_dining", "gas_transport", "grocery_net", "grocery_pos"),
    *("health_fitness", "home", "kids_pets", "misc_net", "misc_pos", "personal_care"),
    *("shopping_net", "shopping_pos", "travel"),
)
_STRUCK = ("grocery_pos", "misc_net", "shopping_net", "shopping_pos")
_MERCHANTS_EACH = 20
_TOWNS = 8
STOLEN_A_MONTH = 0.1
_THEFT_DAYS = 2
_A_DAY = 2.0
_STOLEN_A_DAY = 5.0


Columns = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a simulation: cards, days, and the share of cards stolen within a month."""

    cards: int = 200
    days: int = 90
    stolen_a_month: float = STOLEN_A_MONTH


def payments(shape: Shape, seed: int) -> pa.Table:
    """Return the payments in order of time, with the published columns as text and numbers."""
    rng = np.random.default_rng(seed)
    towns = np.column_stack([rng.uniform(32, 45, _TOWNS), rng.uniform(-115, -80, _TOWNS)])
    homes = towns[rng.integers(0, _TOWNS, shape.cards)] + rng.normal(0, 0.07, (shape.cards, 2))
    taste = rng.dirichlet(np.full(len(CATEGORIES), 0.5), shape.cards)
    usual = rng.uniform(10, 90, len(CATEGORIES))
    card, when, category, amount, fraud = (
        np.concatenate(both)
        for both in zip(_genuine(rng, shape, taste, usual), _stolen(rng, shape, usual), strict=True)
    )
    order = np.argsort(when, kind="stable")
    card, when, category, amount, fraud = (
        one[order] for one in (card, when, category, amount, fraud)
    )
    far = np.where(fraud, 0.6, 0.3)[:, None]
    shops = homes[card] + rng.normal(0, 1, (len(card), 2)) * far
    shop = category * _MERCHANTS_EACH + rng.integers(0, _MERCHANTS_EACH, len(card))
    columns = {
        "trans_date_trans_time": pa.array(when, pa.timestamp("ms")).cast(pa.timestamp("s")),
        "cc_num": 4_000_000_000_000_000 + card,
        "merchant": [f"fraud_Merchant {number}" for number in shop.tolist()],
        "category": [CATEGORIES[number] for number in category.tolist()],
        "amt": np.round(amount, 2),
        "lat": homes[card, 0].round(4),
        "long": homes[card, 1].round(4),
        "trans_num": [f"{seed:08x}{number:024x}" for number in range(len(card))],
        "unix_time": when // 1000,
        "merch_lat": shops[:, 0].round(6),
        "merch_long": shops[:, 1].round(6),
        "is_fraud": fraud.astype(np.int8),
        "": np.arange(len(card)),
    }
    unread = pa.repeat("x", len(card))
    return pa.table([pa.array(columns.get(name, unread)) for name in HEADER], list(HEADER))


def _genuine(
    rng: np.random.Generator,
    shape: Shape,
    taste: npt.NDArray[np.float64],
    usual: npt.NDArray[np.float64],
) -> Columns:
    count = rng.poisson(_A_DAY * shape.days, shape.cards)
    card = np.repeat(np.arange(shape.cards), count)
    day = rng.integers(0, shape.days, len(card))
    hour = np.clip(rng.normal(15, 4, len(card)), 0, 23.999)
    pick = (taste.cumsum(axis=1)[card] < rng.random(len(card))[:, None]).sum(axis=1)
    category = np.minimum(pick, len(CATEGORIES) - 1)
    amount = usual[category] * rng.lognormal(0, 0.6, len(card))
    return card, _moment(day, hour), category, amount, np.zeros(len(card), np.bool_)


def _stolen(rng: np.random.Generator, shape: Shape, usual: npt.NDArray[np.float64]) -> Columns:
    thefts = rng.poisson(shape.stolen_a_month * shape.cards * shape.days / 30)
    struck = rng.integers(0, shape.cards, thefts)
    first = rng.integers(0, max(1, shape.days - _THEFT_DAYS), thefts)
    count = 1 + rng.poisson(_THEFT_DAYS * _STOLEN_A_DAY, thefts)
    card, since = np.repeat(struck, count), np.repeat(first, count)
    day = since + rng.integers(0, _THEFT_DAYS, len(card))
    late = rng.random(len(card)) < 0.8
    hour = np.where(late, (22 + rng.uniform(0, 5, len(card))) % 24, rng.uniform(8, 22, len(card)))
    places = np.array([CATEGORIES.index(name) for name in _STRUCK])
    category = places[rng.integers(0, len(places), len(card))]
    amount = usual[category] * rng.lognormal(1.8, 0.5, len(card))
    return card, _moment(day, hour), category, amount, np.ones(len(card), np.bool_)


def _moment(day: npt.NDArray[np.int64], hour: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return times in ms, to the second as the published ones."""
    return START_MS + day * DAY_MS + (hour * 3600).astype(np.int64) * 1000


def write(path: Path, shape: Shape, seed: int, *, overwrite: bool = False) -> int:
    """Write them as a CSV file with the published header; return the number of payments.

    The file appears when it is whole. Raise UserError as `payment_files.write` does.
    """
    check(path, (".csv",), overwrite=overwrite)
    table, written = payments(shape, seed), pa.BufferOutputStream()
    csv.write_csv(table, written)
    try:
        files.write(path, written.getvalue().to_pybytes())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}") from error
    return len(table)
