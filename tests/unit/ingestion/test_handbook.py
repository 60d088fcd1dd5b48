"""The handbook's files.

Parquet, pickles, folders, either case of the columns, rows that are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.errors import UserError
from ingestion import schema
from ingestion.fraud.columns import transactions
from ingestion.fraud.handbook import Handbook
from ingestion.fraud.simulator import Payment
from ingestion.replay.batches import Rejected
from ingestion.wire.encode import RecordEncoder

NOON = datetime(2018, 4, 1, 12, 0, 0, 250_000)
NOON_MS = 1_522_584_000_250


def columns(**changed: Any) -> dict[str, Any]:
    return {
        "transaction_id": [0, 1],
        "tx_datetime": [NOON, NOON],
        "customer_id": [596, 4961],
        "terminal_id": [3156, 3412],
        "tx_amount": [57.16, 81.51],
        "tx_fraud": [0, 1],
        **changed,
    }


def parquet(path: Path, content: Mapping[str, Sequence[Any]]) -> Path:
    pq.write_table(pa.table(dict(content)), path)
    return path


def rows(path: Path) -> list[Payment | Rejected]:
    """Read row by row; the same rows in columns are the same payments and the same rejections."""
    found = list(Handbook(path))
    chunks = list(Handbook(path).chunks())
    assert [row for chunk in chunks for row in chunk.rejected] == [
        row for row in found if isinstance(row, Rejected)
    ]
    in_columns = [
        (*astuple(transaction), is_fraud)
        for chunk in chunks
        for transaction, is_fraud in zip(
            transactions(chunk.payments), chunk.payments["is_fraud"].to_pylist(), strict=True
        )
    ]
    assert in_columns == [
        (*astuple(row.transaction), row.is_fraud) for row in found if isinstance(row, Payment)
    ]
    return found


def only_payment(path: Path) -> Payment:
    (row,) = rows(path)
    assert isinstance(row, Payment)
    return row


def test_rows_become_payments(tmp_path: Path) -> None:
    source = Handbook(parquet(tmp_path / "a.parquet", columns()))

    genuine, fraud = rows(source.files[0])

    assert source.labelled
    assert source.count() == 2
    assert isinstance(genuine, Payment)
    assert isinstance(fraud, Payment)
    assert genuine.transaction.transaction_id == "0"
    assert genuine.transaction.event_time == NOON_MS
    assert genuine.transaction.customer_id == "596"
    assert genuine.transaction.terminal_id == "3156"
    assert genuine.transaction.amount == 57.16
    assert (genuine.is_fraud, fraud.is_fraud) == (False, True)


def test_upper_case_text_ids_and_extra_columns(tmp_path: Path) -> None:
    content = {name.upper(): values for name, values in columns(customer_id=["C1", "C2"]).items()}

    first, second = rows(parquet(tmp_path / "a.parquet", {**content, "TX_TIME_DAYS": [0, 0]}))

    assert isinstance(first, Payment)
    assert isinstance(second, Payment)
    assert [one.transaction.customer_id for one in (first, second)] == ["C1", "C2"]


@pytest.mark.parametrize(
    "moments",
    [
        pa.array([NOON], pa.timestamp("ns")),
        pa.array([NOON], pa.timestamp("us")),
        pa.array([NOON.replace(tzinfo=UTC)], pa.timestamp("ms", "Europe/Paris")),
        ["2018-04-01 12:00:00.250"],
        ["2018-04-01T14:00:00.250+02:00"],
    ],
)
def test_times_in_any_form_are_utc_milliseconds(tmp_path: Path, moments: Any) -> None:
    content = {name: values[:1] for name, values in columns().items()}

    payment = only_payment(parquet(tmp_path / "a.parquet", {**content, "tx_datetime": moments}))

    assert payment.transaction.event_time == NOON_MS


def test_without_verdicts_nothing_is_labelled(tmp_path: Path) -> None:
    content = columns()
    del content["tx_fraud"]
    source = Handbook(parquet(tmp_path / "a.parquet", content))

    assert not source.labelled
    assert [isinstance(row, Payment) and row.is_fraud for row in source] == [False, False]


def test_a_folder_of_daily_pickles_in_order_of_name(tmp_path: Path) -> None:
    for number, name in enumerate(("2018-04-02.pkl", "2018-04-01.pkl")):
        frame = pd.DataFrame(columns(transaction_id=[10 * number, 10 * number + 1]))
        frame["tx_datetime"] = frame["tx_datetime"].astype("datetime64[ns]")
        frame.columns = pd.Index([one.upper() for one in frame.columns], dtype=object)
        frame.to_pickle(tmp_path / name, protocol=4)
    (tmp_path / "README.md").write_text("not data")
    source = Handbook(tmp_path)

    payments = rows(tmp_path)

    assert source.count() is None
    assert [row.transaction.transaction_id for row in payments if isinstance(row, Payment)] == [
        "10",
        "11",
        "0",
        "1",
    ]
    assert isinstance(payments[0], Payment)
    assert payments[0].transaction.event_time == NOON_MS


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("transaction_id", None, "transaction_id: None is not an id"),
        ("customer_id", 1.5, "customer_id: 1.5 is not an id"),
        ("terminal_id", "", "terminal_id: '' is not an id"),
        ("tx_datetime", None, "tx_datetime: None is not a time"),
        ("tx_datetime", "yesterday", "tx_datetime: Invalid isoformat"),
        ("tx_amount", None, "tx_amount: "),
        ("tx_amount", "much", "tx_amount: could not convert"),
        ("tx_amount", float("nan"), "tx_amount: nan is not finite"),
        ("tx_amount", float("inf"), "tx_amount: inf is not finite"),
        (
            "tx_datetime",
            "0001-01-01T00:00:00+01:00",
            "tx_datetime: -62135600400000 is out of range",
        ),
        ("tx_fraud", 2, "tx_fraud: 2 is neither 0 nor 1"),
        ("tx_fraud", None, "tx_fraud: None is neither 0 nor 1"),
    ],
)
def test_wrong_rows_are_rejected_with_their_number(
    tmp_path: Path, column: str, value: Any, reason: str
) -> None:
    good = columns()
    text = isinstance(value, str) and column != "terminal_id"
    fine = [NOON.isoformat()] * 2 if column == "tx_datetime" and text else good[column]
    fine = [str(one) for one in fine] if isinstance(value, str) else fine
    content = {name: [*values, values[0], values[1]] for name, values in good.items()}

    payment, other, wrong, last = rows(
        parquet(tmp_path / "a.parquet", {**content, column: [*fine, value, fine[1]]})
    )

    assert isinstance(wrong, Rejected)
    assert wrong.row == 2
    assert wrong.reason.startswith(reason)
    assert all(isinstance(row, Payment) for row in (payment, other, last))


def test_times_that_no_calendar_holds_are_rejected(tmp_path: Path) -> None:
    moments = pa.array([NOON_MS, 1_760_000_000_000_000], pa.timestamp("ms"))

    fine, wrong = rows(parquet(tmp_path / "a.parquet", columns(tx_datetime=moments)))

    assert isinstance(fine, Payment)
    assert isinstance(wrong, Rejected)
    assert wrong.reason == "tx_datetime: 1760000000000000 is out of range"


def test_what_is_not_rejected_fits_the_contract(tmp_path: Path) -> None:
    odd = [0.0, -1e308, 1e308, 5e-324, float("nan"), float("-inf"), None]
    times = [
        -62_135_596_800_000,
        253_402_300_799_999,
        253_402_300_800_000,
        0,
        -(1 << 62),
        1 << 62,
        0,
    ]
    path = tmp_path / "a.parquet"
    content = {name: [values[0]] * len(odd) for name, values in columns().items()}
    parquet(path, {**content, "tx_amount": odd, "tx_datetime": pa.array(times, pa.timestamp("ms"))})
    encoder = RecordEncoder(schema.load("Transaction"))

    accepted = [row for row in rows(path) if isinstance(row, Payment)]

    assert len(accepted) == 3
    assert all(encoder.object(payment.transaction) for payment in accepted)


@pytest.mark.parametrize(
    ("column", "values"),
    [("customer_id", ["a", 1]), ("customer_id", [1 << 70, 1]), ("tx_amount", [1.5, "x"])],
)
def test_columns_of_several_kinds_of_values_are_told(
    tmp_path: Path, column: str, values: list[Any]
) -> None:
    frame = pd.DataFrame(columns()).astype({"tx_datetime": "datetime64[ns]"})
    frame[column] = pd.Series(values, dtype=object)
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    frame.to_pickle(tmp_path / "a.pkl", protocol=4)

    with pytest.raises(UserError, match=rf"a\.pkl: {column} does not hold values of one type"):
        rows(tmp_path / "a.pkl")


def test_damaged_pages_are_told(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet", {name: values * 5000 for name, values in columns().items()}
    )
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(byte ^ 0x5A for byte in content[40:60])
    path.write_bytes(content)

    with pytest.raises(UserError, match=r"a\.parquet can't be read to its end"):
        rows(path)


def test_float_ids_of_whole_numbers_are_ids(tmp_path: Path) -> None:
    first, _ = rows(parquet(tmp_path / "a.parquet", columns(customer_id=[596.0, 4961.0])))

    assert isinstance(first, Payment)
    assert first.transaction.customer_id == "596"


def test_integer_times_are_refused_because_their_unit_is_unknown(tmp_path: Path) -> None:
    source = Handbook(parquet(tmp_path / "a.parquet", columns(tx_datetime=[1, 2])))

    with pytest.raises(UserError, match="tx_datetime holds integers"):
        list(source)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"transaction_id": [1], "amount": [2]})

    with pytest.raises(
        UserError, match="no column tx_datetime, customer_id, terminal_id, tx_amount"
    ):
        Handbook(path)


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "a.parquet"
    broken.write_bytes(b"PAR1 not really")
    cut = tmp_path / "a.csv"
    cut.write_text("")
    other = tmp_path / "a.txt"
    other.write_text("a,b")
    empty = tmp_path / "empty"
    empty.mkdir()

    for path, message in (
        (tmp_path / "none", "does not exist"),
        (broken, "is not a parquet file"),
        (cut, "is not a csv file"),
        (other, "no .parquet, .csv, .pkl, .pickle file"),
        (empty, "no .parquet, .csv, .pkl, .pickle file"),
    ):
        with pytest.raises(UserError, match=message):
            Handbook(path)
