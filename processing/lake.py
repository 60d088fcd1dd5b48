"""Write the SQL of the lake's job: its catalog, and an INSERT for each table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from config.lake import BRONZE, CATALOG, INGESTED, OFFSET, PARTITION, TOPIC, LakeTable
from config.settings import Settings
from processing.tables import SOURCE_TIME, columns, literal, table_name

_SQLITE = "sqlite:///"
_PLACE = {
    PARTITION: "kafka_partition",
    OFFSET: "kafka_offset",
    INGESTED: SOURCE_TIME,
}


@dataclass(frozen=True, slots=True)
class Start:
    """Where the job goes on: first offsets by topic, and the last ones that each table holds."""

    offsets: Mapping[str, Mapping[int, int]]
    written: Mapping[str, Mapping[int, int]]

    @classmethod
    def parse(cls, text: str | None) -> Start:
        """Return the start as it was written for this submission.

        Raise ValueError without one: the job would write what its tables hold already.
        """
        if not text:
            raise ValueError("it starts from what its tables hold: `millrace jobs submit` knows")
        told = json.loads(text)
        return cls(*(_numbered(told[name]) for name in ("offsets", "written")))


def _numbered(told: dict[str, dict[str, int]]) -> dict[str, dict[int, int]]:
    return {
        name: {int(partition): offset for partition, offset in offsets.items()}
        for name, offsets in told.items()
    }


def catalog_ddl(settings: Settings) -> str:
    """Return the CREATE CATALOG of the lake."""
    options = ",\n  ".join(
        f"{literal(key)} = {literal(value)}" for key, value in catalog_options(settings).items()
    )
    return f"CREATE CATALOG `{CATALOG}` WITH (\n  {options}\n)"


def catalog_options(settings: Settings) -> dict[str, str]:
    """Return the catalog's options as Iceberg for Flink takes them; they may hold passwords."""
    options = {"type": "iceberg", "warehouse": settings.lake_files, "cache-enabled": "false"}
    if settings.lake_catalog == "rest":
        options |= {"catalog-type": "rest", "uri": settings.lake_uri}
        if credential := settings.lake_catalog_credential.get_secret_value():
            options["credential"] = credential
    else:
        options |= {
            "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
            "jdbc.schema-version": "V1",
            **_jdbc(settings.lake_uri),
        }
    return options | _s3(settings)


def _jdbc(uri: str) -> dict[str, str]:
    """Return SQLAlchemy's form of a database's address in JDBC's."""
    if uri.startswith(_SQLITE):
        file = uri.removeprefix(_SQLITE)
        return {"uri": f"jdbc:sqlite:{file}?journal_mode=WAL&busy_timeout=30000"}
    parts = urlsplit(uri)
    place, query = parts.netloc.rpartition("@")[2], f"?{parts.query}" if parts.query else ""
    found = {"uri": f"jdbc:{parts.scheme.partition('+')[0]}://{place}{parts.path}{query}"}
    named = {"jdbc.user": parts.username, "jdbc.password": parts.password}
    return found | {key: unquote(value) for key, value in named.items() if value}


def _s3(settings: Settings) -> dict[str, str]:
    """Return the options of S3-compatible storage.

    A REST catalog may name a warehouse without saying where it lies: then the keys tell.
    """
    if settings.lake_files.startswith("file:"):
        return {}
    given = {
        "s3.endpoint": settings.lake_s3_endpoint,
        "client.region": settings.lake_s3_region,
        "s3.access-key-id": settings.lake_s3_access_key.get_secret_value(),
        "s3.secret-access-key": settings.lake_s3_secret_key.get_secret_value(),
        "s3.path-style-access": "true" if settings.lake_s3_endpoint else "",
    }
    found = {name: value for name, value in given.items() if value}
    if found or settings.lake_files.startswith("s3"):
        found["io-impl"] = "org.apache.iceberg.aws.s3.S3FileIO"
    return found


def insert(table: LakeTable, readable: str, written: Mapping[int, int]) -> str:
    """Return the INSERT of a table's records from the view `readable` of its topic.

    `written`: the last offset of each partition that the table holds.
    """
    fields = {TOPIC: literal(table.topic), **_PLACE}
    fields |= {name: f"`{name}`" for name in columns(table.record)}
    names = ", ".join(f"`{name}`" for name in fields)
    selected = ", ".join(f"{sql} AS `{name}`" for name, sql in fields.items())
    return f"""
        INSERT INTO `{CATALOG}`.`{BRONZE}`.`{table.name}` ({names})
        SELECT {selected} FROM {readable}
        WHERE record_type = {literal(table.record)} AND kafka_offset > {_last(written)}"""


def _last(written: Mapping[int, int]) -> str:
    if not written:
        return "-1"
    cases = " ".join(f"WHEN {one} THEN {last}" for one, last in sorted(written.items()))
    return f"CASE kafka_partition {cases} ELSE -1 END"


def view_name(topic: str) -> str:
    """Return the name of the view of a topic's readable records."""
    return f"{table_name(topic)}_readable"
