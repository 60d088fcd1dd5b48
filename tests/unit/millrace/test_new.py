"""`millrace new product` writes a product that runs, is formatted, typed and tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import products as declared
from config.errors import UserError
from config.files import write
from config.settings import ROOT, Settings, settings
from config.topics import topics
from ingestion import schema
from millrace.cli.produce import records
from millrace.flink import outside
from millrace.new.product import Record, new_product
from processing import graph

PARCEL: dict[str, Any] = {
    "type": "record",
    "name": "Parcel",
    "namespace": "millrace",
    "doc": "A parcel was scanned.",
    "fields": [
        {"name": "scan_id", "type": "string", "doc": "The scan."},
        {"name": "depot_id", "type": "string", "doc": "Where."},
        {
            "name": "scanned_at",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
            "doc": "When.",
        },
        {"name": "kilograms", "type": ["null", "double"], "default": None, "doc": "Its weight."},
        {"name": "hands", "type": "int", "doc": "How many carried it."},
        {"name": "labels", "type": {"type": "array", "items": "string"}, "doc": "On it."},
    ],
}


@pytest.fixture(params=["a plain record", "a record of one's own"])
def product(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A product as it is written, found by the setting."""
    own = request.param != "a plain record"
    record = Record.of(json.dumps(PARCEL), "depot_id", "scanned_at", "scan_id") if own else None
    new_product("new_parcels", tmp_path / "new_parcels", record, settings())
    monkeypatch.setenv("MILLRACE_PRODUCTS_PATH", str(tmp_path / "new_parcels"))
    settings.cache_clear()
    yield tmp_path / "new_parcels"
    settings.cache_clear()
    sys.path[:] = [path for path in sys.path if path != str(tmp_path / "new_parcels")]
    for module in [name for name in sys.modules if name.partition(".")[0] == "new_parcels"]:
        del sys.modules[module]


def _run(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "MYPYPATH": str(folder)}
    line = (sys.executable, "-m", *arguments)
    done = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_it_is_formatted_typed_and_tested(product: Path) -> None:
    _run(product, "ruff", "check", "--no-cache", str(product))
    _run(product, "ruff", "format", "--no-cache", "--check", str(product))
    _run(product, "mypy", "--strict", "--explicit-package-bases", str(product))
    _run(product, "pytest", "-q", "-p", "no:cacheprovider", str(product))


def test_it_is_a_product_whose_parts_fit(product: Path) -> None:
    (found,) = (one for one in declared.products() if one.outside)
    assert (found.name, found.group, found.folder) == ("new_parcels", "new_parcels", product)
    job = found.load(found.jobs[0].module)
    assert (job.JOB, found.jobs[0].file.exists()) == (found.jobs[0].name, True)
    names = [field["name"] for field in schema.load("NewParcelsFeatures")["fields"]]
    assert {"count_1h", "count_1d"} <= set(names)
    selected = graph.features(job.GRAPH, "rolled")
    assert all(f"AS `{name}`" in selected for name in names)
    assert "PARTITION BY" in job.views()["rolled"]
    assert "FROM readable" in job.views()["events"]
    for topic in (job.SOURCE, job.SINK):
        assert topics()[topic].key in {
            field["name"] for field in schema.load(topics()[topic].schema)["fields"]
        }


def test_each_number_has_features_and_what_is_none_has_not(tmp_path: Path) -> None:
    record = Record.of(json.dumps(PARCEL), "depot_id", "scanned_at", "scan_id")
    assert record.kinds() == {
        "scan_id": "STRING",
        "depot_id": "STRING",
        "scanned_at": "TIMESTAMP",
        "kilograms": "DOUBLE",
        "hands": "BIGINT",
    }
    new_product("new_parcels", tmp_path / "p", record, settings())
    text = (tmp_path / "p" / "new_parcels" / "features.py").read_text()
    assert all(f'"{name}_mean_1d"' in text for name in ("kilograms", "hands"))


def test_the_port_is_one_that_nobody_declares(product: Path, tmp_path: Path) -> None:
    new_product("other_parcels", tmp_path / "other", None, settings())
    first = yaml.safe_load((product / "product.yaml").read_text())["consumers"]
    other = yaml.safe_load((tmp_path / "other" / "product.yaml").read_text())["consumers"]
    assert first["new_parcels"]["port"] != other["other_parcels"]["port"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Parcels", "cannot name a product"),
        ("class", "cannot name a product"),
        ("../x", "cannot name a product"),
        ("json", "there is a Python module of that name"),
        ("serving", "there is a Python module of that name"),
        ("fraud", "product fraud is taken"),
        ("shop", "topic shop-events is taken"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        new_product(name, tmp_path / "folder", None, Settings())
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists"):
        new_product("new_parcels", tmp_path, None, Settings())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("{", "depot_id", "the record is not JSON"),
        ('"string"', "depot_id", "the record is no Avro record"),
        (json.dumps(PARCEL), "depot", "--key depot: no field of Parcel that is a string"),
        (json.dumps(PARCEL), "hands", "--key hands: no field of Parcel that is a string"),
    ],
)
def test_a_record_without_what_it_needs_is_refused(text: str, key: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Record.of(text, key, "scanned_at", "scan_id")


def test_what_is_produced_may_have_times_as_people_write_them() -> None:
    lines = [
        '{"user_id": "u", "event_time": "1970-01-01T00:00:01.5Z"}',
        "",
        '{"user_id": "u", "event_time": 7}',
    ]
    found = list(records(topics()["shop-events"], lines))
    assert [record["event_time"] for record in found] == [1500, 7]


@pytest.mark.parametrize("line", ["{", "[]", '{"user_id": "u", "event_time": "now"}', "{}"])
def test_a_line_that_is_no_record_is_named(line: str) -> None:
    good = '{"user_id": "u"}'
    with pytest.raises(UserError, match="line 2: "):
        list(records(topics()["shop-events"], [good, line]))


def test_an_installed_package_is_a_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_product("new_parcels", tmp_path / "made", None, Settings())
    site = tmp_path / "site"
    package = site / "new_parcels"
    site.mkdir()
    (tmp_path / "made" / "new_parcels").rename(package)
    for part in ("product.yaml", "topics.yaml", "schema"):
        (tmp_path / "made" / part).rename(package / part)
    info = site / "new_parcels-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: new-parcels\nVersion: 1.0\n")
    write(info / "entry_points.txt", "[millrace.products]\nparcels = new_parcels\n")
    monkeypatch.syspath_prepend(str(site))
    declared._all.cache_clear()
    try:
        (found,) = (one for one in declared.products() if one.outside)
        assert (found.root, found.folder) == (site, package)
        assert found.jobs[0].file == package / "new_parcels_features.py"
        assert "new-parcels-events" in topics()
        assert "NewParcelsEvent" in schema.names()
        loaded = Settings(state_dir=tmp_path / "state")
        environment = outside.environment(loaded)
        _, links = environment["PYTHONPATH"].split(":")
        assert [path.name for path in Path(links).iterdir()] == ["new_parcels"]
        assert (Path(links) / "new_parcels" / "features.py").exists()
        assert environment["MILLRACE_PRODUCTS_PATH"] == str(package)
    finally:
        declared._all.cache_clear()
        for module in [name for name in sys.modules if name.partition(".")[0] == "new_parcels"]:
            del sys.modules[module]
