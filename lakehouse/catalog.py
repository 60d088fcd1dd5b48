"""Open the lake's catalog with PyIceberg: the one that Flink's job writes to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, NotInstalledError
from pyiceberg.table import Table
from sqlalchemy.exc import SQLAlchemyError

from config.errors import RetryableError, UserError, without_credentials
from config.lake import CATALOG
from config.settings import Settings

_SQLITE = "sqlite:///"
_BUSY_S = 30


def catalog(settings: Settings) -> Catalog:
    """Return the lake's catalog; an embedded one is made if there is none.

    Raise RetryableError if it cannot be read, UserError if its driver is not installed.
    """
    uri = settings.lake_uri
    if uri.startswith(_SQLITE):
        _prepare(Path(uri.removeprefix(_SQLITE)))
    try:
        return load_catalog(CATALOG, **properties(settings))
    except SQLAlchemyError as error:
        words = without_credentials(str(error.args[0] if error.args else error))
        raise RetryableError(f"the lake's catalog: {' '.join(words.split())}") from error
    except NotInstalledError as error:
        raise UserError(f"the lake's catalog: {error.__cause__ or error}") from None


def found(lake: Catalog, name: str) -> Table | None:
    """Return a table, None if there is none."""
    try:
        return lake.load_table(name)
    except (NoSuchTableError, NoSuchNamespaceError):
        return None


def properties(settings: Settings) -> dict[str, str]:
    """Return the catalog's properties as PyIceberg takes them; they may hold passwords."""
    uri = settings.lake_uri
    if settings.lake_catalog == "rest":
        found = {"type": "rest", "uri": uri}
        if credential := settings.lake_catalog_credential.get_secret_value():
            found["credential"] = credential
    elif uri.startswith(_SQLITE):
        # Writers take turns: Flink's commits, upkeep, marts.
        found = {"type": "sql", "uri": f"{uri}?timeout={_BUSY_S}"}
    else:
        found = {"type": "sql", "uri": uri, "pool_pre_ping": "true"}
    return {**found, "warehouse": settings.lake_files, **_s3(settings)}


def _s3(settings: Settings) -> dict[str, str]:
    given = {
        "s3.endpoint": settings.lake_s3_endpoint,
        "s3.region": settings.lake_s3_region,
        "s3.access-key-id": settings.lake_s3_access_key.get_secret_value(),
        "s3.secret-access-key": settings.lake_s3_secret_key.get_secret_value(),
    }
    return {name: value for name, value in given.items() if value}


def _prepare(file: Path) -> None:
    """Make the catalog's file, in the mode in which readers do not wait for a writer."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
