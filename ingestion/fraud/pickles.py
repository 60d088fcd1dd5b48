"""Read pickled data frames without running the code that a pickle may contain.

A pickle is a program. This reader knows the few names that a data frame of numbers, strings and
times is made of, and refuses every other one before it is looked up. Arrow's buffers are not among
them, because restoring one checks nothing. So frames pickled by pandas 3 are refused; those of
pandas 1 and 2, as the public data has them, are read.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.compat.pickle_compat import Unpickler

from config.errors import UserError

_NUMPY = {("numpy", "dtype"), ("numpy", "ndarray")} | {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
}
_PANDAS = {
    ("pandas", "DataFrame"),
    ("pandas", "Index"),
    ("pandas", "RangeIndex"),
    ("pandas.arrays", "DatetimeArray"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas.core.internals.blocks", "new_block"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.indexes.numeric", "Int64Index"),
    ("pandas.core.arrays.datetimes", "DatetimeArray"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("pandas._libs.tslibs.timestamps", "Timestamp"),
}
_PLAIN = {
    ("builtins", "slice"),
    ("__builtin__", "slice"),
    ("_codecs", "encode"),
    ("datetime", "datetime"),
}
_ALLOWED = frozenset(_NUMPY | _PANDAS | _PLAIN)


class _FrameUnpickler(Unpickler):  # type: ignore[misc]
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UserError(f"it asks for {module}.{name}, which no plain data frame needs")
        return super().find_class(module, name)


def read_frame(path: Path) -> pd.DataFrame:
    """Return the data frame in a pickle written by pandas 1 or 2.

    Raise UserError for a file that is not a pickled data frame or refers to anything else.
    """
    advice = "convert it where you trust it: pandas.read_pickle(…).to_parquet(…)"
    try:
        with path.open("rb") as file:
            frame = _FrameUnpickler(file).load()
    except UserError as error:
        raise UserError(f"{path} was not read: {error}; {advice}") from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
    ) as error:
        raise UserError(
            f"{path} is not a pickled data frame ({type(error).__name__}: {error}); {advice}"
        ) from error
    if not isinstance(frame, pd.DataFrame):
        raise UserError(f"{path} holds a {type(frame).__name__}, not a data frame")
    return frame
