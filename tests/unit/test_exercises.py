"""Every product of this repository takes part in the rounds of the integration tests."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from config.products import products
from tests.integration.exercises import module_of


def test_every_product_has_an_exercise() -> None:
    without = [
        f"{product.name}: write {module_of(product).replace('.', '/')}.py"
        for product in products()
        if not product.outside and find_spec(module_of(product)) is None
    ]
    assert without == [], (
        "these products have no part in the kill round and the poison run "
        "(tests/integration/exercises)"
    )


def test_an_exercise_is_made_by_a_function_of_that_name() -> None:
    for product in products():
        if not product.outside:
            assert callable(import_module(module_of(product)).exercise)
