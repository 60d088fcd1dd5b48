"""One set of settings opens the same catalog for PyIceberg and for Flink."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from sqlalchemy import make_url

from config.errors import RetryableError, UserError
from config.settings import Settings
from lakehouse.catalog import catalog, properties
from processing.lake import catalog_ddl, catalog_options


def settings(folder: Path, **given: str) -> Settings:
    return Settings.model_validate({"state_dir": folder, **given})


def test_an_embedded_catalog_is_made_where_flink_looks(loaded: Settings, lake: Catalog) -> None:
    file = loaded.state_dir / "lake" / "catalog.db"
    options = catalog_options(loaded)
    assert options["uri"] == f"jdbc:sqlite:{file}?journal_mode=WAL&busy_timeout=30000"
    assert options["warehouse"] == f"file://{loaded.state_dir}/lake/warehouse"
    assert options["warehouse"] == properties(loaded)["warehouse"]
    with closing(sqlite3.connect(file)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert mode == "wal"
    assert "iceberg_tables" in tables


def test_opening_it_again_keeps_what_is_there(loaded: Settings, lake: Catalog) -> None:
    lake.create_namespace("bronze")
    again = catalog(loaded)
    assert again.list_namespaces() == [("bronze",)]
    again.engine.dispose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2"])
def test_a_database_is_named_for_both(tmp_path: Path, scheme: str) -> None:
    uri = f"{scheme}://keeper:s3cret@db:5433/lake"
    loaded = settings(tmp_path, lake_catalog_uri=uri)
    assert properties(loaded)["uri"] == uri
    options = catalog_options(loaded)
    assert options["uri"] == "jdbc:postgresql://db:5433/lake"
    assert (options["jdbc.user"], options["jdbc.password"]) == ("keeper", "s3cret")


def test_signs_of_an_address_in_a_password_are_written_as_ever(tmp_path: Path) -> None:
    """As SQLAlchemy reads it: `%40` is an @."""
    loaded = settings(tmp_path, lake_catalog_uri="postgresql://keeper:p%40ss%2Fword@db/lake")
    options = catalog_options(loaded)
    assert options["uri"] == "jdbc:postgresql://db/lake"
    assert options["jdbc.password"] == "p@ss/word"
    assert make_url(properties(loaded)["uri"]).password == "p@ss/word"  # noqa: S105


def test_a_rest_catalog_is_named_for_both(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        lake_catalog="rest",
        lake_catalog_uri="https://catalog.example/v1",
        lake_catalog_credential="keeper:s3cret",
    )
    ours, flinks = properties(loaded), catalog_options(loaded)
    assert (ours["type"], flinks["catalog-type"]) == ("rest", "rest")
    for name in ("uri", "credential"):
        assert ours[name] == flinks[name]


def test_storage_is_named_for_both(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        lake_warehouse="s3://bucket/lake",
        lake_s3_endpoint="https://storage.example",
        lake_s3_region="eu-1",
        lake_s3_access_key="id",
        lake_s3_secret_key="s3cret",  # noqa: S106
    )
    ours, flinks = properties(loaded), catalog_options(loaded)
    for name in ("warehouse", "s3.endpoint", "s3.access-key-id", "s3.secret-access-key"):
        assert ours[name] == flinks[name]
    assert (ours["s3.region"], flinks["client.region"]) == ("eu-1", "eu-1")
    assert flinks["io-impl"].endswith(".S3FileIO")


def test_a_warehouse_that_a_catalog_knows_by_name_may_lie_in_s3(tmp_path: Path) -> None:
    given = {"lake_catalog": "rest", "lake_catalog_uri": "https://catalog.example"}
    named = settings(tmp_path, lake_warehouse="ours", lake_s3_region="eu-1", **given)
    options = catalog_options(named)
    assert (options["warehouse"], options["client.region"]) == ("ours", "eu-1")
    assert options["io-impl"].endswith(".S3FileIO")
    assert "io-impl" not in catalog_options(settings(tmp_path, lake_warehouse="ours", **given))
    local = settings(tmp_path, lake_s3_region="eu-1", **given)
    assert "io-impl" not in catalog_options(local), "by default the files lie in the state folder"


def test_a_dump_of_the_settings_holds_no_secret(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        lake_catalog_uri="postgresql://keeper:s3cret@db/lake",
        lake_s3_secret_key="s3cret",  # noqa: S106
        lake_catalog_credential="s3cret",
    )
    assert "s3cret" not in repr(loaded)
    assert "s3cret" not in loaded.model_dump_json()
    assert "s3cret" in catalog_ddl(loaded)


def test_a_catalog_that_is_damaged_or_away_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broken.db"
    file.write_bytes(b"no database" * 400)
    with pytest.raises(RetryableError, match=r"^the lake's catalog: .*not a database") as told:
        catalog(settings(tmp_path, lake_catalog_uri=f"sqlite:///{file}"))
    assert "\n" not in str(told.value)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match="the lake's catalog: import of psycopg"):
        catalog(settings(tmp_path, lake_catalog_uri="postgresql+psycopg://u:secret@db/lake"))
