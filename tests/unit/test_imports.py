"""What `domain` and `config` may import from outside (docs/architecture.md, Layers).

import-linter holds the directions among our packages; of others it can only forbid those that it is
told by name.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import ROOT

ALLOWED = {
    "domain": set[str](),
    "config": {"prometheus_client", "pydantic", "pydantic_settings", "structlog", "yaml"},
}


def _imported(path: Path) -> Iterator[str]:
    """The top-level packages that a module names in its imports, wherever they stand in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_a_lower_layer_imports_no_more_than_it_may(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    outside = {(str(path.relative_to(ROOT)), name) for path in files for name in _imported(path)}
    found = {
        (path, name)
        for path, name in outside
        if name not in sys.stdlib_module_names and name != package
    }
    assert {(path, name) for path, name in found if name not in ALLOWED[package]} == set()
    assert {name for _, name in found} == ALLOWED[package], "allowed and not used"
