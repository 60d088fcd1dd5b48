"""Writes payments into the lake as its job would, from rows instead of Kafka; for run_script.

    main CATALOG STATE FIRST LAST COMMITS

Payments of those offsets, in so many jobs one after the other, so in so many commits. CATALOG is
the catalog's address, STATE the state folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.lake import LakeTable
from config.settings import Settings
from processing.lake import catalog_ddl, insert
from processing.session import session
from processing.tables import create_views

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

PAYMENTS = LakeTable("transactions", "transactions", "Transaction", "event_time")
EARLIEST = 1_704_067_200_000


def main(address: str, state: str, first: str, last: str, commits: str) -> None:
    """Write them."""
    loaded = Settings.model_validate({"state_dir": state, "lake_catalog_uri": address})
    environment = session("lake", {"parallelism.default": "1"})
    environment.execute_sql(catalog_ddl(loaded))
    step = (int(last) - int(first)) // int(commits)
    for start in range(int(first), int(last), step):
        _view(environment, start, min(start + step, int(last)))
        environment.execute_sql(insert(PAYMENTS, f"arrived_{start}", {})).wait()


def _view(environment: TableEnvironment, start: int, end: int) -> None:
    rows = ", ".join(f"(CAST({n} AS BIGINT), 't{n}', {n}.25e0)" for n in range(start, end))
    select = f"""
        SELECT 'Transaction' AS record_type, 0 AS kafka_partition, n AS kafka_offset,
          TO_TIMESTAMP_LTZ({EARLIEST} + n, 3) AS kafka_time, id AS transaction_id,
          TO_TIMESTAMP_LTZ({EARLIEST} + n, 3) AS event_time, 'c' AS customer_id,
          't' AS terminal_id, amount
        FROM (VALUES {rows}) AS given (n, id, amount)"""  # noqa: S608
    create_views(environment, {f"arrived_{start}": select})
