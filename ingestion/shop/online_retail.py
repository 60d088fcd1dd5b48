"""Read UCI's Online Retail (and Online Retail II): the workbook, its sheet as CSV, or parquet.

Each line of an invoice becomes one event: `transaction`; `cancellation` for an invoice that starts
with C, with the units that came back; `fee` for postage, charges, discounts and the like, which are
no goods; `adjustment` for what else has no positive quantity or a negative price (stock written
off, bad debt), with the quantity as given. Times are local, taken as UTC. A line without customer
belongs to a visitor of its own invoice, `guest-<invoice>`. Sources:
archive.ics.uci.edu/dataset/352/online+retail, archive.ics.uci.edu/dataset/502/online+retail+ii.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError

from config.errors import UserError
from ingestion.replay.batches import Rejected
from ingestion.shop.chunks import Chunk, cut, parts
from ingestion.shop.files import check_columns, read_text
from ingestion.shop.frames import CANCELLATION, PURCHASE, Complaints, events_of

# Our name, and the columns' names in the two editions.
COLUMNS = {
    "invoice": ("InvoiceNo", "Invoice"),
    "item": ("StockCode",),
    "quantity": ("Quantity",),
    "time": ("InvoiceDate",),
    "price": ("UnitPrice", "Price"),
    "customer": ("CustomerID", "Customer ID"),
}
# Of Excel's cells as text: with the sheet's own format, and as others export it.
TIMES = ("%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d/%m/%Y %H:%M:%S")
_SERVICES = ("POST", "DOT", "C2", "BANK CHARGES", "AMAZONFEE", "CRUK")
_BOOKINGS = ("M", "m", "D", "S", "B", "ADJUST", "ADJUST2", "TEST001", "TEST002")
NO_GOODS = frozenset(_SERVICES + _BOOKINGS)
FEE, ADJUSTMENT = "fee", "adjustment"
_MOST = 2**31 - 1


class OnlineRetail:
    """The lines of a file in order of time. Raise UserError for another file."""

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self._rejected: list[Rejected] = []
        lines = _read(path, self._rejected)
        self._count = len(lines) + len(self._rejected)
        complaints = Complaints(lines)
        for name in ("invoice", "item"):
            complaints.where(lines[name].eq(""), f"{name} is empty")
        complaints.where(lines["time"].isna(), "InvoiceDate is unreadable")
        fits = lines["quantity"].abs().le(_MOST) & lines["quantity"].mod(1).eq(0)
        complaints.where(~fits, "Quantity is no whole number")
        complaints.where(~np.isfinite(lines["price"]), "the unit price is unreadable")
        lines, rejected = complaints.parted()
        self._rejected += rejected
        same = lines.groupby(["invoice", "item"]).cumcount().add(1).astype(str)
        guests = "guest-" + lines["invoice"]
        kinds = _kinds(lines)
        units = lines["quantity"].astype("int64")
        self._events = events_of(
            lines,
            event_id="or-" + lines["invoice"] + "-" + lines["item"] + "-" + same,
            event_type=kinds,
            user_id=lines["customer"].where(lines["customer"].ne(""), guests),
            item_id=lines["item"],
            transaction_id=lines["invoice"],
            price=lines["price"],
            quantity=units.where(kinds.ne(CANCELLATION), units.abs()).astype("int32"),
        )

    def count(self) -> int:
        """Return the number of lines."""
        return self._count

    def items(self) -> pa.Table | None:
        """Return None: nothing is known of items but their names."""
        return None

    def chunks(self, limit: int | None = None) -> Iterator[Chunk]:
        """Yield the first `limit` lines (all if None): the rejected ones, then the events."""
        table, numbers = self._events
        return cut(self._rejected, len(table), limit, parts(table, numbers))


def _kinds(lines: pd.DataFrame) -> pd.Series:
    kinds = pd.Series(PURCHASE, lines.index)
    kinds = kinds.mask(lines["quantity"].le(0) | lines["price"].lt(0), ADJUSTMENT)
    kinds = kinds.mask(lines["invoice"].str.startswith(("C", "c")), CANCELLATION)
    return kinds.mask(lines["item"].isin(NO_GOODS), FEE)


def _read(path: Path, rejected: list[Rejected]) -> pd.DataFrame:
    """Return the lines with our columns' names; what is unreadable is empty, or NaN."""
    if path.suffix == ".parquet":
        return _parsed(_parquet(path))
    if path.suffix.lower() in (".xlsx", ".xls"):
        return _parsed(_workbook(path))
    given = check_columns(path, (), "a CSV file")
    return _parsed(read_text(path, tuple(_chosen(given, path).values()), rejected))


def _chosen(given: tuple[str, ...], path: Path) -> dict[str, str]:
    found = {
        ours: next((name for name in names if name in given), "") for ours, names in COLUMNS.items()
    }
    if missing := [COLUMNS[ours][0] for ours, name in found.items() if not name]:
        raise UserError(f"{path} is not Online Retail: it has no column {', '.join(missing)}")
    return found


def _workbook(path: Path) -> pd.DataFrame:
    """Return the rows of all sheets (Online Retail II has one a year), numbered through."""
    try:
        sheets = pd.read_excel(path, sheet_name=None, engine="calamine")
    except (OSError, ValueError, CalamineError) as error:
        raise UserError(f"{path} is not a workbook: {error}") from error
    return pd.concat(
        [one[[*_chosen(tuple(map(str, one.columns)), path).values()]] for one in sheets.values()],
        ignore_index=True,
    )


def _parquet(path: Path) -> pd.DataFrame:
    try:
        given = tuple(pq.read_schema(path).names)
        frame: pd.DataFrame = pq.read_table(path, columns=[*_chosen(given, path).values()])
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is not a parquet file: {error}") from error
    return frame.to_pandas()


def _parsed(frame: pd.DataFrame) -> pd.DataFrame:
    names = {name: ours for ours, both in COLUMNS.items() for name in both}
    lines = frame.rename(columns=names)
    for name in ("quantity", "price"):
        lines[name] = pd.to_numeric(lines[name], errors="coerce")
    if not pd.api.types.is_datetime64_any_dtype(lines["time"]):
        lines["time"] = parse_times(lines["time"])
    for name in ("invoice", "item", "customer"):
        text = lines[name].astype("string").fillna("").str.strip()
        # A customer's number that went through a column of floats.
        lines[name] = text.str.removesuffix(".0") if name != "item" else text
    return lines


def parse_times(text: pd.Series) -> pd.Series:
    """Return the times, by the one format that reads the most of them."""
    read = (pd.to_datetime(text, format=form, errors="coerce") for form in TIMES)
    return max(read, key=lambda times: int(times.notna().sum()))
