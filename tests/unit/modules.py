"""The files in scripts/, which are no package, as modules."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from config.settings import ROOT


def script(name: str) -> ModuleType:
    """Return scripts/<name>.py as a module."""
    file = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
