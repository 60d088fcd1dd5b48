"""UCI Online Retail's invoice lines as events, worked by hand from files as published."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.errors import UserError
from config.settings import ROOT
from ingestion import schema
from ingestion.shop.chunks import batches
from ingestion.shop.online_retail import OnlineRetail
from ingestion.wire.encode import RecordEncoder

# As the workbook's sheet is saved: Latin-1, American dates, cells with commas and line breaks.
SHEET = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536366,22632,"HAND WARMER, UNION\nJACK",6,12/1/2010 8:28,1.85,17850,United Kingdom
536365,85123A,WHITE HANGING HEART \xa3,6,12/1/2010 8:26,2.55,17850,United Kingdom
536365,85123A,WHITE HANGING HEART,2,12/1/2010 8:26,2.55,17850.0,United Kingdom
C536379,85123A,WHITE HANGING HEART,-1,12/1/2010 9:41,2.55,14527,United Kingdom
536370,POST,POSTAGE,3,12/1/2010 8:45,18,12583,France
536414,22139,,56,12/1/2010 11:52,0,,United Kingdom
536589,21777,,-10,12/1/2010 16:50,0,,United Kingdom
536590,21777,,many,12/1/2010 16:50,0,,United Kingdom
536591,,,1,12/1/2010 16:50,0,,United Kingdom
536592,21777,,1,soon,0,,United Kingdom
"""
DECEMBER_1 = 1_291_161_600_000  # 2010-12-01T00:00:00Z


def minute(hour: int, minutes: int) -> int:
    return DECEMBER_1 + (hour * 60 + minutes) * 60_000


EXPECTED = [
    ("or-536365-85123A-1", "transaction", minute(8, 26), "17850", "85123A", "536365", 2.55, 6),
    ("or-536365-85123A-2", "transaction", minute(8, 26), "17850", "85123A", "536365", 2.55, 2),
    ("or-536366-22632-1", "transaction", minute(8, 28), "17850", "22632", "536366", 1.85, 6),
    ("or-536370-POST-1", "fee", minute(8, 45), "12583", "POST", "536370", 18.0, 3),
    ("or-C536379-85123A-1", "cancellation", minute(9, 41), "14527", "85123A", "C536379", 2.55, 1),
    (
        "or-536414-22139-1",
        "transaction",
        minute(11, 52),
        "guest-536414",
        "22139",
        "536414",
        0.0,
        56,
    ),
    (
        "or-536589-21777-1",
        "adjustment",
        minute(16, 50),
        "guest-536589",
        "21777",
        "536589",
        0.0,
        -10,
    ),
]


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "Online Retail.csv"
    path.write_bytes(SHEET.encode("latin-1"))
    return path


def read(path: Path) -> list[tuple[Any, ...]]:
    names = [field["name"] for field in schema.load("ShopEvent")["fields"]]
    return [
        tuple(row[name] for name in names if name in row)
        for chunk in OnlineRetail(path).chunks()
        for row in chunk.events.to_pylist()
    ]


def test_lines_of_the_sheet_in_order_of_time(sheet: Path) -> None:
    assert read(sheet) == EXPECTED


def test_wrong_lines_are_rejected_with_their_number(sheet: Path) -> None:
    (chunk,) = OnlineRetail(sheet).chunks()

    assert chunk.rows == OnlineRetail(sheet).count() == 10
    assert [(one.row, one.reason) for one in chunk.rejected] == [
        (7, "Quantity is no whole number"),
        (8, "item is empty"),
        (9, "InvoiceDate is unreadable"),
    ]


def test_parquet_and_the_second_edition_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "second.parquet"
    columns = {
        "Invoice": ["536365", "C536379"],
        "StockCode": ["85123A", "85123A"],
        "Quantity": [6, -1],
        "InvoiceDate": pa.array([datetime(2010, 12, 1, 8, 26), datetime(2010, 12, 1, 9, 41)]),
        "Price": [2.55, 2.55],
        "Customer ID": [17850.0, 14527.0],
    }
    pq.write_table(pa.table(columns), path)

    assert read(path) == [EXPECTED[0], EXPECTED[4]]


def test_workbooks_read_alike_all_sheets(tmp_path: Path) -> None:
    path = tmp_path / "both.xlsx"
    names = ("Invoice", "StockCode", "Quantity", "InvoiceDate", "Price", "Customer ID")
    # 40513 days after Excel's first one is 2010-12-01.
    write_workbook(
        path,
        [names, ("536365", "85123A", 6, 40513 + (8 * 60 + 26) / 1440, 2.55, 17850)],
        [names, ("C536379", "85123A", -1, 40513 + (9 * 60 + 41) / 1440, 2.55, 14527)],
    )

    assert read(path) == [EXPECTED[0], EXPECTED[4]]


def write_workbook(path: Path, *sheets: list[tuple[Any, ...]]) -> None:
    """Write the least that is a workbook; the fourth column holds times."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    listed, related = "", f'<Relationship Id="s" Type="{relation}/styles" Target="styles.xml"/>'
    whole = f'<Relationship Id="r" Type="{relation}/officeDocument" Target="xl/workbook.xml"/>'
    with ZipFile(path, "w") as parts:
        parts.writestr("_rels/.rels", f'<Relationships xmlns="{package}">{whole}</Relationships>')
        for number, rows in enumerate(sheets, start=1):
            listed += f'<sheet name="Year {number}" sheetId="{number}" r:id="r{number}"/>'
            target = f"worksheets/sheet{number}.xml"
            related += (
                f'<Relationship Id="r{number}" Type="{relation}/worksheet" Target="{target}"/>'
            )
            lines = "".join(f"<row>{''.join(map(cell, range(9), row))}</row>" for row in rows)
            parts.writestr(
                f"xl/{target}",
                f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
            )
        parts.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>{listed}</sheets></workbook>',
        )
        parts.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}">{related}</Relationships>',
        )
        times = '<cellXfs><xf numFmtId="0"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
        parts.writestr("xl/styles.xml", f'<styleSheet xmlns="{main}">{times}</styleSheet>')


def cell(place: int, value: object) -> str:
    """Return a cell; a number in the fourth column is a time."""
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c s="{int(place == 3)}"><v>{value}</v></c>'


@pytest.mark.parametrize("time", ["2010-12-01 08:26:00", "01/12/2010 08:26:00"])
def test_other_programs_write_times_otherwise(tmp_path: Path, time: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(
        "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
        f"536365,85123A,6,{time},2.55,17850\n"
    )

    assert read(path) == [EXPECTED[0]]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "timestamp,visitorid\n1,2\n", "it has no column InvoiceNo, StockCode"),
        ("a.xlsx", "PK", "is not a workbook"),
        ("a.parquet", "PAR?", "is not a parquet file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(UserError, match=reason):
        OnlineRetail(tmp_path / name)


PUBLISHED = "online_retail_2010-12-01_2011-10-31.parquet"
REAL = ROOT.parent / "shared" / "data" / "online_retail" / PUBLISHED


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="no ../shared/data/online_retail")
def test_every_line_of_the_published_data_is_used() -> None:
    encoder = RecordEncoder(schema.load("ShopEvent"))

    made = list(batches(OnlineRetail(REAL).chunks(), encoder))

    assert made[-1].rows == 431_673
    assert sum(len(batch.rejected) for batch in made) == 0
    assert sum(len(batch.records) for batch in made) == 431_673
    dues = [record.due for batch in made for record in batch.records]
    assert dues == sorted(dues)
