"""A lake whose catalog is in PostgreSQL, by settings alone: Flink's side and PyIceberg's.

Optional: skipped where PostgreSQL is missing (Debian: apt-get install postgresql).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from config.settings import Settings
from lakehouse.catalog import catalog
from lakehouse.positions import written
from lakehouse.query import ask, connect
from lakehouse.tables import apply
from lakehouse.upkeep.compaction import Limits, compact
from tests.integration.flink_home import run_script
from tests.integration.lake_job import PAYMENTS

# Written in an address as %40 and %2F.
PASSWORD, ESCAPED = "p@ss/word", "p%40ss%2Fword"
ACCOUNT = "postgres"
SMALL = Limits(files=2)


def _program(name: str) -> str:
    """Return where PostgreSQL's program is, "" if nowhere; Debian keeps most off the path."""
    elsewhere = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    return shutil.which(name) or (elsewhere[-1] if elsewhere else "")


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (_program("initdb") and _program("postgres")),
        reason="PostgreSQL is missing (Debian: apt-get install postgresql)",
    ),
]


def _account() -> str | None:
    """Return whom PostgreSQL runs as: it refuses to run as root."""
    return ACCOUNT if os.geteuid() == 0 else None


@pytest.fixture
def address() -> Iterator[str]:
    """Return the address of an empty database in a server of its own."""
    account = _account()
    # Not below pytest's own folder, which the account may not enter.
    folder = Path(tempfile.mkdtemp(prefix="millrace-postgres-"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if account is not None:
            owner = pwd.getpwnam(account)
            for path in (folder, secret):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        data = folder / "data"
        made = (f"--pgdata={data}", "--username=keeper", f"--pwfile={secret}", "--no-sync")
        subprocess.run(
            [_program("initdb"), *made, "--auth=scram-sha-256"],
            check=True,
            capture_output=True,
            user=account,
            cwd=folder,
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        bound = ("-h", "127.0.0.1", "-p", str(port), "-k", str(folder))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [_program("postgres"), "-D", str(data), "-F", *bound],
                stdout=log,
                stderr=log,
                user=account,
                cwd=folder,
            )
        try:
            uri = f"postgresql://keeper:{ESCAPED}@127.0.0.1:{port}/postgres"
            _await(uri)
            yield uri
        finally:
            process.send_signal(signal.SIGINT)  # without waiting for clients to leave
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _await(uri: str) -> None:
    engine, deadline = create_engine(uri), time.monotonic() + 30
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("select 1"))
            break
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    engine.dispose()


@pytest.mark.timeout(180)
def test_flink_and_upkeep_share_a_catalog_in_postgresql(address: str, tmp_path: Path) -> None:
    loaded = Settings.model_validate({"state_dir": tmp_path, "lake_catalog_uri": address})
    lake = catalog(loaded)
    apply(lake, [PAYMENTS])
    run_script("lake_job.py", address, tmp_path, "0", "40", "4")
    table = lake.load_table(PAYMENTS.identifier)
    assert written(table) == {0: 39}
    assert compact(table, SMALL).files_before == 4
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(run_script, "lake_job.py", address, tmp_path, "40", "100", "6")
        while not writing.done():
            table.refresh()
            compact(table, SMALL)
            time.sleep(0.1)
        writing.result()
    con = connect(loaded.lake_memory, loaded.lake_spill)
    query = "select _offset, transaction_id, amount from bronze.transactions order by _offset"
    rows = list(ask(con, lake, query).rows)
    assert rows == [(n, f"t{n}", n + 0.25) for n in range(100)]
    # Connections that nobody closed would warn in whatever test runs when they are collected.
    lake.engine.dispose()  # type: ignore[attr-defined]
    engine = create_engine(address)
    with engine.connect() as connection:
        found = connection.execute(text("select table_namespace, table_name from iceberg_tables"))
        assert found.fetchall() == [PAYMENTS.identifier]
    engine.dispose()
    assert not (tmp_path / "lake" / "catalog.db").exists()
