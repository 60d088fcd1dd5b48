"""Where the job goes on, from the tables alone."""

from __future__ import annotations

import random

import pytest
from pyiceberg.catalog import Catalog
from structlog.testing import capture_logs

from config.errors import UserError
from lakehouse.positions import commits, next_offsets, written
from lakehouse.start import Range, start
from lakehouse.tables import apply
from tests.unit.lakehouse.conftest import TABLES, Append

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
PAYMENTS, LABELS, FEATURES = (
    TABLES[name] for name in ("transactions", "fraud_labels", "fraud_features")
)


def test_an_empty_table_says_nothing(lake: Catalog) -> None:
    apply(lake, [FEATURES])
    found = lake.load_table(FEATURES.identifier)
    assert written(found) == {}
    assert next_offsets({"fraud_features": found}) == {}


def test_partitions_that_share_files_are_told_apart(append: Append) -> None:
    """Statistics of a file name the highest offset of any of its partitions."""
    append(FEATURES, [(0, 0), (0, 1), (0, 2), (1, 50), (1, 51)])
    append(FEATURES, [(1, 52), (2, 7)])
    found = append(FEATURES, [(1, 53)])
    assert written(found) == {0: 2, 1: 53, 2: 7}
    assert next_offsets({"fraud_features": found}) == {0: 3, 1: 54, 2: 8}


@pytest.mark.slow
def test_the_highest_are_found_in_whatever_files_the_rows_lie(append: Append) -> None:
    chance = random.Random(7)
    places = [(partition, offset) for partition in range(4) for offset in range(40)]
    chance.shuffle(places)
    highest: dict[int, int] = {}
    while places:
        some = [places.pop() for _ in range(min(len(places), chance.randrange(1, 40)))]
        found = append(FEATURES, some)
        for partition, offset in some:
            highest[partition] = max(offset, highest.get(partition, -1))
        assert written(found) == highest


def test_a_rare_record_does_not_set_back_the_frequent_one(append: Append) -> None:
    """The rare table's newest checkpoint, though empty, says up to where it lacks nothing."""
    append(LABELS, [(0, 5)], "job", 1)
    append(PAYMENTS, [(0, 4), (0, 6)], "job", 1)
    append(PAYMENTS, [(0, 7), (0, 8)], "job", 2)
    labels = append(LABELS, [], "job", 3)
    payments = append(PAYMENTS, [(0, 9)], "job", 3)
    tables = {"transactions": payments, "fraud_labels": labels}
    assert next_offsets(tables) == {0: 10}
    # A checkpoint that the rare table has not committed says nothing about it.
    tables["transactions"] = append(PAYMENTS, [(0, 10), (0, 11)], "job", 4)
    assert next_offsets(tables) == {0: 10}


def test_checkpoints_of_another_job_say_nothing(append: Append) -> None:
    payments = append(PAYMENTS, [(0, 0), (0, 9)], "first", 7)
    labels = append(LABELS, [(0, 3)], "second", 9)
    assert next_offsets({"transactions": payments, "fraud_labels": labels}) == {0: 4}


def test_without_any_commit_of_a_table_nothing_is_known(lake: Catalog, append: Append) -> None:
    apply(lake, [LABELS])
    payments = append(PAYMENTS, [(0, 0), (0, 9)], "job", 7)
    labels = lake.load_table(LABELS.identifier)
    assert next_offsets({"transactions": payments, "fraud_labels": labels}) == {}


def test_upkeep_between_commits_hides_no_checkpoint(lake: Catalog, append: Append) -> None:
    append(FEATURES, [(0, 0)], "job", 1)
    found = append(FEATURES, [(0, 1)], "job", 2)
    found.overwrite(found.scan().to_arrow())
    found = append(FEATURES, [(0, 2)])
    assert [(one.job, one.checkpoint) for one in commits(found)] == [("job", 2), ("job", 1)]
    assert written(found) == {0: 2}


def test_a_row_that_is_removed_is_not_read_again_unless_it_was_the_last(append: Append) -> None:
    found = append(FEATURES, [(0, 0), (0, 1), (0, 2)])
    found.delete("_offset == 1")
    assert next_offsets({"fraud_features": found}) == {0: 3}


KEPT = {0: Range(100, 200), 1: Range(0, 50)}


def test_it_starts_where_kafka_begins_or_the_tables_end() -> None:
    assert start("t", {}, KEPT) == {0: 100, 1: 0}
    assert start("t", {0: 150, 1: 50}, KEPT) == {0: 150, 1: 50}


def test_what_kafka_has_dropped_is_told_and_passed() -> None:
    with capture_logs() as told:
        assert start("t", {0: 40}, KEPT) == {0: 100, 1: 0}
    (line,) = told
    assert (line["log_level"], line["first"], line["last"]) == ("error", 40, 99)


@pytest.mark.parametrize("wanted", [{0: 201}, {1: 51}, {2: 1}])
def test_a_topic_that_is_another_one_is_refused(wanted: dict[int, int]) -> None:
    with pytest.raises(UserError, match="not the one that the lake was filled from"):
        start("t", wanted, KEPT)
