"""Every product that runs by default takes part in the rounds of the integration tests.

One whose group is off by default is not in their stack; it has a test of its own.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from config.products import running
from config.settings import Settings
from tests.integration.exercises import module_of

DEFAULTS = Settings(_env_file=None, groups="")  # type: ignore[call-arg]
OURS = [one for one in running(DEFAULTS) if not one.outside]


def test_every_product_has_an_exercise() -> None:
    without = [
        f"{product.name}: write {module_of(product).replace('.', '/')}.py"
        for product in OURS
        if find_spec(module_of(product)) is None
    ]
    assert without == [], (
        "these products have no part in the kill round and the poison run "
        "(tests/integration/exercises)"
    )


def test_an_exercise_is_made_by_a_function_of_that_name() -> None:
    for product in OURS:
        assert callable(import_module(module_of(product)).exercise)
