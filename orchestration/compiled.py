"""Compile functions with Numba, and keep what was compiled in the build folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
from numba import config

from config.settings import settings

F = TypeVar("F", bound=Callable[..., object])

# Beside the sources, Numba's default, the folder may be read-only, and `git status` would show it.
config.CACHE_DIR = str(settings().build_dir / "numba")  # type: ignore[attr-defined]


def compiled(function: F) -> F:
    """Return the function compiled at its first call, or read from the cache of earlier runs.

    It runs without the interpreter's lock, so its caller guards the arrays that it changes.
    """
    return cast("F", numba.njit(cache=True, nogil=True)(function))
