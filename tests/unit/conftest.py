"""Trace no slow test for coverage: it would take twice as long, and others reach its lines, too."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave slow tests uncovered, but not those of the lake: nothing else reaches its lines."""
    for item in items:
        if "lakehouse" not in item.path.parts and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.no_cover)
