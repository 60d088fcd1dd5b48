"""Let dbt-duckdb see the lake's tables, and store its models in them."""

from __future__ import annotations

from typing import Any, ClassVar

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig, TargetConfig
from pyiceberg.catalog import Catalog

from config.clock import now_ms
from config.settings import settings
from lakehouse.catalog import catalog
from lakehouse.marts.writing import Target, store
from lakehouse.reading import NAMESPACES, quoted, settle, show, tables


class Plugin(BasePlugin):
    """Show each table as a view, at the snapshot it has when dbt connects or has stored it."""

    # The number of this run, `_run` of each row that it writes: greater than those of all before.
    run: ClassVar[int] = now_ms()

    _catalog: Catalog
    _con: duckdb.DuckDBPyConnection

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Open the catalog that the settings name."""
        del plugin_config
        self._catalog = catalog(settings())

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Bound the memory, and make every table of the lake a view."""
        self._con = conn
        settle(conn, settings().lake_memory, settings().lake_spill)
        for namespace in NAMESPACES:
            conn.execute(f"create schema if not exists {quoted(namespace)}")
        for name in tables(self._catalog):
            show(conn, name, self._catalog.load_table(name))

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Keep to UTC, and tell the number of the run, in every cursor."""
        cursor.execute("set TimeZone = 'UTC'")
        cursor.execute(f"set variable run = {self.run}")

    def load(self, source_config: SourceConfig) -> Any:
        """Raise NotImplementedError: sources are views already."""
        raise NotImplementedError(f"{source_config.identifier} is a view of the lake's already")

    def store(self, target_config: TargetConfig) -> None:
        """Write a model's rows into its table, and show the table as it is now."""
        given = target_config.config.get("lake")
        target = Target(given["table"], tuple(given["key"]), given["day"], self.run)
        with self._con.cursor() as cursor:
            self.configure_cursor(cursor)
            source = f"{target_config.relation.schema}.{target_config.relation.identifier}"
            store(cursor, self._catalog, target, source, whole=bool(given["whole"]))
            show(cursor, target.name, self._catalog.load_table(target.name))
