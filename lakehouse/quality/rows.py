"""Check rows cell by cell, with pandera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pandera.pandas as pp
import pyarrow as pa
from pandera.errors import SchemaErrors

from lakehouse.quality.declared import Checks, Column

_ARROW = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "binary": pa.binary(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_EXAMPLES = 3
TYPE, PRESENT = "type", "not null"


@dataclass(slots=True)
class Cells:
    """What was found: `rows` seen, how many failed by column and check, some of their values."""

    rows: int = 0
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)


def arrow_schema(checks: Checks) -> pa.Schema:
    """Return the columns that are checked, as Arrow has them by the contract."""
    return pa.schema([(one.name, _ARROW[one.kind]) for one in checks.columns])


def names(column: Column) -> list[str]:
    """Return the names of a column's checks."""
    return [
        TYPE,
        *([] if column.nullable else [PRESENT]),
        *(str(one.error) for one in _checks(column)),
    ]


def examine(checks: Checks, batches: Iterable[pa.Table]) -> Cells:
    """Check every row of the batches and return what was found."""
    wanted = pp.DataFrameSchema({one.name: _declared(one) for one in checks.columns})
    found = Cells()
    for batch in batches:
        found.rows += len(batch)
        try:
            wanted.validate(batch.to_pandas(types_mapper=pd.ArrowDtype), lazy=True)
        except SchemaErrors as errors:
            _add(found, errors.failure_cases)
    return found


def _add(found: Cells, cases: pd.DataFrame) -> None:
    missing = cases["check"] == "column_in_dataframe"
    cases = cases.assign(column=cases["column"].where(~missing, cases["failure_case"]))
    for (column, check), group in cases.groupby(["column", "check"], dropna=False):
        name = _named(str(check))
        found.failed[str(column), name] += len(group)
        shown = found.examples.setdefault((str(column), name), [])
        shown += [str(one) for one in group["failure_case"].head(_EXAMPLES - len(shown))]


def _named(check: str) -> str:
    if check == "not_nullable":
        return PRESENT
    return TYPE if check.startswith("dtype") or check == "column_in_dataframe" else check


def _declared(column: Column) -> pp.Column:
    kind = pd.ArrowDtype(_ARROW[column.kind])
    return pp.Column(kind, _checks(column), nullable=column.nullable)


def _checks(column: Column) -> list[pp.Check]:
    found = []
    if column.least_length:
        found.append(pp.Check.str_length(min_value=column.least_length, error="length"))
    if column.symbols:
        found.append(pp.Check.isin(list(column.symbols), error="symbols"))
    if column.kind in ("float", "double"):
        found.append(pp.Check(_finite, error="finite"))
    if column.least is not None or column.most is not None:
        least = -np.inf if column.least is None else column.least
        most = np.inf if column.most is None else column.most
        found.append(pp.Check.in_range(least, most, error="range"))
    return found


def _finite(cells: pd.Series) -> pd.Series:
    # Nulls have a check of their own.
    return pd.Series(np.isfinite(cells.to_numpy(dtype=float, na_value=0.0)), index=cells.index)
