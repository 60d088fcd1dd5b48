"""Data frames out of pickles, and nothing else."""

from __future__ import annotations

import base64
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from config.errors import UserError
from ingestion.fraud.pickles import read_frame

OLD = Path(__file__).parent / "handbook-pandas-1.5.pkl.b64"


def frame(rows: int = 4) -> pd.DataFrame:
    """A day of the handbook, as its own notebook makes it: ids are text in columns of objects."""
    columns: dict[str, Any] = {
        "TRANSACTION_ID": np.arange(rows),
        "TX_DATETIME": pd.to_datetime(["2018-04-01 00:00:31"] * rows).to_numpy("M8[ns]"),
        "CUSTOMER_ID": np.array(["596"] * rows, dtype=object),
        "TX_AMOUNT": np.linspace(1, 2, rows),
    }
    made = pd.DataFrame(
        {name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()}
    )
    made.columns = pd.Index(list(columns), dtype=object)
    return made


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("part", [slice(None), slice(1, 3)])
def test_a_frame_is_read_as_it_was_written(tmp_path: Path, protocol: int, part: slice) -> None:
    path = tmp_path / "2018-04-01.pkl"
    frame().iloc[part].to_pickle(path, protocol=protocol)

    assert read_frame(path).equals(frame().iloc[part])


def test_a_frame_that_pandas_1_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pkl"
    path.write_bytes(base64.b64decode(OLD.read_text()))

    old = read_frame(path)

    assert list(old["CUSTOMER_ID"]) == ["596"] * 3
    assert list(old["TX_DATETIME"]) == [pd.Timestamp("2018-04-01 00:00:31")] * 3


class Touch:
    """A pickle that would write a file when it is read the usual way."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._path}",)


def test_a_pickle_that_would_run_something_is_refused_unrun(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Touch(mark)))

    with pytest.raises(UserError, match=r"asks for posix\.system.*to_parquet"):
        read_frame(path)

    assert not mark.exists()


def test_no_way_round_by_attributes(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x04\x8c\x06pandas\x8c\x13io.common.os.system\x93\x8c\x04true\x85R.")

    with pytest.raises(UserError, match=r"asks for pandas\.io\.common\.os\.system"):
        read_frame(path)


@pytest.mark.parametrize("content", [b"", b"no pickle at all", pickle.dumps({"a": 1})[:-3]])
def test_what_is_no_pickle_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)

    with pytest.raises(UserError, match="is not a pickled data frame"):
        read_frame(path)


def test_what_is_no_frame_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))

    with pytest.raises(UserError, match="holds a dict, not a data frame"):
        read_frame(path)
