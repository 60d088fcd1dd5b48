"""Read windows of features from a file: CSV, JSON lines or Parquet."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from config.errors import UserError

Matrix = npt.NDArray[np.float64]

NOT_FEATURES = frozenset(
    ("window_id", "asset_id", "sensor_id", "timestamp", "window_start", "window_end", "criticality")
)
"""Columns that say which window it is."""
LEAST = 50
"""Windows that training needs: below it a 99 % quantile is one of the highest two scores."""


def _lines(path: Path) -> pd.DataFrame:
    """Return the frame of JSON lines.

    Of records with `features`, such as those of the stream, it holds these, of each sensor and
    window once. What `millrace topics tail --json` prints is a record in `record`.
    """
    content = path.read_text(encoding="utf-8")
    records = [json.loads(line) for line in content.splitlines() if line.strip()]
    if not all(isinstance(one, dict) for one in records):
        raise ValueError("a line is not an object")
    records = [one.get("record", one) for one in records]
    if not any(isinstance(one.get("features"), dict) for one in records):
        return pd.read_json(io.StringIO(content), lines=True)
    windows = {
        (one["sensor_id"], one["window_start"]) if "window_start" in one else number: one
        for number, one in enumerate(records)
    }
    return pd.DataFrame([one["features"] for one in windows.values()])


_READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".jsonl": _lines,
    ".parquet": pd.read_parquet,
}


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows of features, shape (windows, features), NaN: unknown; where they come from."""

    features: tuple[str, ...]
    rows: Matrix
    source: str = ""
    sha256: str = ""


def read(path: Path) -> Windows:
    """Return the windows of a file.

    A column of numbers is a feature unless it names the window (`NOT_FEATURES`). Raise UserError
    for a file that cannot be read, has too few windows, or no feature; and for a feature that is
    text, never known, or infinite.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UserError(f"{path}: expected a name that ends in {', '.join(_READERS)}")
    try:
        frame, content = reader(path), path.read_bytes()
    except (OSError, ValueError, KeyError, UnicodeError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    names = tuple(str(name) for name in frame.columns if name not in NOT_FEATURES)
    if not names:
        raise UserError(f"{path} has no column of features")
    for name in names:
        column = frame[name]
        if not is_numeric_dtype(column) or is_bool_dtype(column):
            raise UserError(f"{path}: column {name!r} does not hold numbers")
    rows = frame[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)
    return checked(Windows(names, rows, path.name, hashlib.sha256(content).hexdigest()))


def checked(windows: Windows) -> Windows:
    """Return the windows. Raise UserError if nothing can be learnt from them."""
    where = windows.source or "training"
    if len(windows.rows) < LEAST:
        raise UserError(f"{where}: {len(windows.rows)} windows; training needs {LEAST}")
    for number, name in enumerate(windows.features):
        column = windows.rows[:, number]
        if np.isnan(column).all():
            raise UserError(f"{where}: feature {name!r} has no value")
        if np.isinf(column).any() or np.nanmax(np.abs(column)) > np.finfo(np.float32).max:
            raise UserError(f"{where}: feature {name!r} has a value beyond 32-bit floats")
    return windows
