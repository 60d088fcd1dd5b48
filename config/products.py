"""Products as declared in `products.yaml`: which job and which consumer the stack runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

FILE = Path(__file__).parent / "products.yaml"


@dataclass(frozen=True, slots=True)
class Product:
    """A job and its consumer.

    Names `processing/jobs/<job>.py`, `serving/<consumer>/consumer.py` and
    `serving/<consumer>/routes.py`.
    """

    job: str
    consumer: str


@lru_cache(maxsize=1)
def products() -> tuple[Product, ...]:
    """Every product, in the file's order (which gives consumers their metrics ports)."""
    declared = yaml.safe_load(FILE.read_text())
    return tuple(Product(**line) for line in declared["products"])
