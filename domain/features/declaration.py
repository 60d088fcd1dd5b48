"""Declare features as data, once.

The kernel's argument, the feature topic's schema, the training frame and the documentation all come
from these objects. docs/rolling.md specifies how they are computed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from domain.features.version import version_of

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Scalar = str | int | float | bool
Op = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "null", "notnull"]
AggregateName = Literal[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "zscore",
    "ratio",
    "distinct",
    "last",
    "seconds_since",
    "share",
]
Type = Literal["BIGINT", "DOUBLE", "STRING", "BOOLEAN", "TIMESTAMP"]
"""Column types, by their SQL names; TIMESTAMP is ms since 1970 in Python."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WINDOW_NAME = re.compile(r"[a-z0-9_]+")
_NUMERIC: frozenset[Type] = frozenset({"BIGINT", "DOUBLE"})
_NEEDS_NUMBER = frozenset({"sum", "mean", "min", "max", "std", "zscore", "ratio"})
_NEEDS_NUMBER_OR_STRING = frozenset({"distinct", "last"})
_WHOLE = frozenset({"count", "distinct"})
DEFAULT_K = 64
LEAST_SPANS_KEPT = 2


class DeclarationError(ValueError):
    """Raised for an inconsistent declaration; the message names the part at fault."""


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise DeclarationError(message)


def _require_name(what: str, name: str) -> None:
    _require(
        bool(_NAME.fullmatch(name)),
        f"{what} {name!r}: lower-case letters, digits and _, a letter first",
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compare a column with a constant; a NULL column meets only `null`."""

    column: str
    op: Op
    value: Scalar | tuple[Scalar, ...] | None = None

    def __post_init__(self) -> None:
        """Raise DeclarationError for an unknown op or a value that does not fit it."""
        what = f"comparison on {self.column!r}"
        _require(
            self.op in get_args(Op),
            f"{what}: unknown op {self.op!r}, know {', '.join(get_args(Op))}",
        )
        if self.op in ("null", "notnull"):
            _require(self.value is None, f"{what}: {self.op} takes no value")
        elif self.op == "in":
            _require(
                isinstance(self.value, tuple) and len(self.value) > 0,
                f"{what}: in takes a non-empty tuple",
            )
        else:
            _require(
                isinstance(self.value, str | int | float), f"{what}: {self.op} takes one value"
            )
        if self.op in ("lt", "le", "gt", "ge"):
            _require(not isinstance(self.value, str | bool), f"{what}: {self.op} takes a number")

    def spec(self) -> dict[str, Any]:
        """Return the comparison in the notation of docs/rolling.md."""
        if self.value is None:
            return {"column": self.column, "op": self.op}
        return {
            "column": self.column,
            "op": self.op,
            "value": list(self.value) if isinstance(self.value, tuple) else self.value,
        }

    def text(self) -> str:
        """Return the comparison in readable form: `kind = 'label'`."""
        sign = {"eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥", "in": "in"}.get(
            self.op
        )
        return f"{self.column} {sign} {self.value!r}" if sign else f"{self.column} is {self.op}"

    def check(self, inputs: Mapping[str, Type], what: str) -> None:
        """Raise DeclarationError for a column that is not in `inputs` or has another type.

        `what` names the declaration under check in the message.
        """
        _require(self.column in inputs, f"{what}: unknown column {self.column!r}")
        if self.op in ("null", "notnull"):
            return
        fitting: Mapping[Type, type | tuple[type, ...]]
        fitting = {"STRING": str, "BOOLEAN": bool, "BIGINT": (int, float), "DOUBLE": (int, float)}
        kind = inputs[self.column]
        _require(
            kind in fitting,
            f"{what}: column {self.column!r} is {kind}, which only null and notnull take",
        )
        _require(
            kind in _NUMERIC or self.op in ("eq", "ne", "in"),
            f"{what}: {self.op} is for numbers, not {kind}",
        )
        for value in self.value if isinstance(self.value, tuple) else (self.value,):
            fits = isinstance(value, fitting[kind]) and (
                kind == "BOOLEAN" or not isinstance(value, bool)
            )
            _require(fits, f"{what}: column {self.column!r} is {kind}, {value!r} is not")


@dataclass(frozen=True, slots=True)
class Window:
    """The newest `tiles` tiles of `tile_ms` milliseconds each, the row's own tile included."""

    name: str
    tile_ms: int
    tiles: int

    def __post_init__(self) -> None:
        """Raise DeclarationError for an invalid name or an empty window."""
        _require(
            bool(_WINDOW_NAME.fullmatch(self.name)),
            f"window {self.name!r}: lower-case letters, digits and _",
        )
        _require(
            self.tile_ms >= 1 and self.tiles >= 1,
            f"window {self.name!r}: tile_ms and tiles are at least 1",
        )

    @property
    def length_ms(self) -> int:
        """Return the greatest age, in ms, that the window covers."""
        return self.tile_ms * self.tiles


@dataclass(frozen=True, slots=True)
class Feature:
    """One value per row: `aggregate` of `column` over the rows of `window` that meet `filter`.

    `condition` belongs to `share` alone: the share of rows that meet it. `k` belongs to `distinct`
    alone: the number of hashes kept, 8 to 1024, exact below it.
    """

    name: str
    aggregate: AggregateName
    window: str
    column: str | None = None
    filter: tuple[Comparison, ...] = ()
    condition: tuple[Comparison, ...] = ()
    k: int | None = None
    description: str = ""

    def __post_init__(self) -> None:
        """Raise DeclarationError for arguments that the aggregate lacks or does not take."""
        what = f"feature {self.name!r}"
        _require_name("feature", self.name)
        _require(
            self.aggregate in get_args(AggregateName),
            f"{what}: unknown aggregate {self.aggregate!r}",
        )
        needs_column = self.aggregate in _NEEDS_NUMBER | _NEEDS_NUMBER_OR_STRING
        _require(
            self.column is not None or not needs_column, f"{what}: {self.aggregate} needs a column"
        )
        if self.aggregate == "share":
            _require(self.column is None, f"{what}: share takes a condition, no column")
            _require(len(self.condition) > 0, f"{what}: share needs a condition")
        else:
            _require(not self.condition, f"{what}: only share takes a condition")
        _require(self.k is None or self.aggregate == "distinct", f"{what}: only distinct takes k")
        _require(self.k is None or 8 <= self.k <= 1024, f"{what}: k is 8 to 1024, not {self.k}")

    def spec(self) -> dict[str, Any]:
        """Return the feature in the notation of docs/rolling.md, without its absent parts."""
        parts: dict[str, Any] = {
            "name": self.name,
            "aggregate": self.aggregate,
            "window": self.window,
        }
        if self.column is not None:
            parts["column"] = self.column
        if self.filter:
            parts["filter"] = [comparison.spec() for comparison in self.filter]
        if self.condition:
            parts["condition"] = [comparison.spec() for comparison in self.condition]
        if self.k is not None:
            parts["k"] = self.k
        return parts

    @property
    def reads(self) -> frozenset[str]:
        """Return the columns that it aggregates or compares."""
        compared = {one.column for one in (*self.filter, *self.condition)}
        return frozenset(compared if self.column is None else {self.column, *compared})

    def type(self, inputs: Mapping[str, Type]) -> Type:
        """Return the SQL type of the feature's column, given the types of the input columns."""
        if self.aggregate in _WHOLE:
            return "BIGINT"
        if self.aggregate == "last" and self.column is not None and inputs[self.column] == "STRING":
            return "STRING"
        return "DOUBLE"

    def check(self, inputs: Mapping[str, Type]) -> None:
        """Raise DeclarationError for an unknown column or a type the aggregate does not take."""
        what = f"feature {self.name!r}"
        for comparison in (*self.filter, *self.condition):
            comparison.check(inputs, what)
        if self.column is None:
            return
        _require(self.column in inputs, f"{what}: unknown column {self.column!r}")
        kind = inputs[self.column]
        if self.aggregate in _NEEDS_NUMBER:
            _require(
                kind in _NUMERIC,
                f"{what}: {self.aggregate} takes a number, column {self.column!r} is {kind}",
            )
        if self.aggregate in _NEEDS_NUMBER_OR_STRING:
            fits = kind in _NUMERIC or kind == "STRING"
            _require(
                fits,
                f"{what}: {self.aggregate} takes a number or string, "
                f"column {self.column!r} is {kind}",
            )


@dataclass(frozen=True, slots=True)
class RowFeature:
    """A value of the row alone, in SQL for the job and in Python for the training frame.

    `python` takes the row (event_time in ms) and returns what `sql` returns, of `type`. A test of
    the product holds them equal.
    """

    name: str
    type: Type
    sql: str
    python: Callable[[Mapping[str, Any]], int | float]
    description: str

    def __post_init__(self) -> None:
        """Raise DeclarationError for an invalid name."""
        _require_name("row feature", self.name)


@dataclass(frozen=True, slots=True)
class DerivedFeature:
    """A value computed from a row's features once every feature set has added its own.

    `sql` for the job and `python` for the twin must give the same bits; a test of the product holds
    them equal, as for a RowFeature. `python` takes the row with all features, any of which may be
    None (those of a late row are), and returns `type` or None. Neither refuses a DOUBLE that is not
    finite, so divide by NULLIF(…, 0).

    >>> busier = DerivedFeature(
    ...     "busier",
    ...     "DOUBLE",
    ...     "count_1h / NULLIF(mean_1h, 0)",
    ...     lambda row: row["count_1h"] / row["mean_1h"] if row["mean_1h"] else None,
    ...     "How much busier the last hour was than the mean.",
    ... )
    >>> busier.python({"count_1h": 6, "mean_1h": 4.0})
    1.5
    """

    name: str
    type: Type
    sql: str
    python: Callable[[Mapping[str, Any]], Scalar | None]
    description: str

    def __post_init__(self) -> None:
        """Raise DeclarationError for an invalid name."""
        _require_name("derived feature", self.name)


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The features of one entity: one call of `rolling`, keyed by `key`.

    `key` is one column, or a tuple of two or more if the entity is a combination. `inputs` are the
    columns of its rows with their types. A row that meets `emit` is emitted with its features; any
    other only updates the state. A row that meets `passes` is passed on unchanged. `keep_idle_ms`
    is how long of wall time the job keeps state that no row writes, at least twice the longest
    window; None takes the kernel's default (docs/rolling.md, Idle keys).
    """

    name: str
    entity: str
    key: str | tuple[str, ...]
    time: str
    inputs: tuple[tuple[str, Type], ...]
    windows: tuple[Window, ...]
    features: tuple[Feature, ...]
    id: str | None = None
    emit: tuple[Comparison, ...] = ()
    passes: tuple[Comparison, ...] = ()
    keep_idle_ms: int | None = None
    version: str = field(init=False)
    """`<name>-<digest>`: follows from the rest (domain/features/version.py)."""

    def __post_init__(self) -> None:
        """Raise DeclarationError for unknown columns or windows, repeated names or wrong types."""
        _require_name("feature set", self.name)
        what = f"feature set {self.name!r}"
        inputs = dict(self.inputs)
        windows = {window.name for window in self.windows}
        columns = [name for name, _ in self.inputs] + [feature.name for feature in self.features]
        columns += [self.late, self.duplicate]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        _require(not twice, f"{what}: names used twice: {', '.join(twice)}")
        _require(len(windows) == len(self.windows), f"{what}: two windows have the same name")
        _require(len(self.features) > 0, f"{what}: declares no feature")
        for column in self.keys:
            _require(column in inputs, f"{what}: unknown key {column!r}")
        _require(
            isinstance(self.key, str) or len(set(self.key)) == len(self.key) > 1,
            f"{what}: a key of several columns has two or more, each once",
        )
        _require(
            inputs.get(self.time) in ("TIMESTAMP", "BIGINT"),
            f"{what}: time {self.time!r} is not a time column",
        )
        _require(
            self.id is None or inputs.get(self.id) == "STRING",
            f"{what}: id {self.id!r} is not a STRING column",
        )
        for comparison in self.emit:
            comparison.check(inputs, f"{what}, emit")
        for comparison in self.passes:
            comparison.check(inputs, f"{what}, pass")
        for feature in self.features:
            _require(
                feature.window in windows,
                f"feature {feature.name!r}: unknown window {feature.window!r}",
            )
            feature.check(inputs)
        if self.keep_idle_ms is not None:
            longest = max(self.windows, key=lambda window: window.length_ms)
            least = LEAST_SPANS_KEPT * longest.length_ms
            _require(
                self.keep_idle_ms >= least,
                f"{what}: keep_idle_ms is at least {least}, twice the span of window "
                f"{longest.name!r}, not {self.keep_idle_ms}",
            )
        object.__setattr__(self, "version", version_of(self))

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the columns of the key, in order."""
        return (self.key,) if isinstance(self.key, str) else self.key

    def key_of(self, row: Mapping[str, Any]) -> Any:
        """Return the row's key as the reference engine takes it: a value, or a tuple of values."""
        return row[self.key] if isinstance(self.key, str) else tuple(row[one] for one in self.key)

    @property
    def late(self) -> str:
        """Return the name of the column that marks a row older than the kept state."""
        return f"{self.name}_late"

    @property
    def duplicate(self) -> str:
        """Return the name of the column that marks a repeated row."""
        return f"{self.name}_duplicate"

    def columns(self) -> dict[str, Type]:
        """Return the columns that `rolling` adds, in order, with their types."""
        inputs = dict(self.inputs)
        added = {feature.name: feature.type(inputs) for feature in self.features}
        return {**added, self.late: "BOOLEAN", self.duplicate: "BOOLEAN"}

    def window(self, name: str) -> Window:
        """Return the window of that name. Raise KeyError for an unknown one."""
        return {window.name: window for window in self.windows}[name]

    def spec(self) -> dict[str, Any]:
        """Return the kernel's argument, in the notation of docs/rolling.md."""
        parts: dict[str, Any] = {"version": 1, "name": self.name, "time": self.time}
        if self.id is not None:
            parts["id"] = self.id
        if self.passes:
            parts["pass"] = [comparison.spec() for comparison in self.passes]
        if self.emit:
            parts["emit"] = [comparison.spec() for comparison in self.emit]
        if self.keep_idle_ms is not None:
            parts["keep_idle_ms"] = self.keep_idle_ms
        parts["windows"] = {
            window.name: {"tile_ms": window.tile_ms, "tiles": window.tiles}
            for window in self.windows
        }
        parts["features"] = [feature.spec() for feature in self.features]
        return parts
