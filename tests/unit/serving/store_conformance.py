"""What every store must do.

Run on those in memory and in SQLite here, on a real Redis in tests/integration.
"""

from __future__ import annotations

import dataclasses
import itertools
import time

import pytest

from serving.store import Index, Rule, Store, Stored, Write


def payment(
    transaction: str,
    event_time: int,
    sequence: int,
    data: bytes,
    keep: int = 3,
    customer: str = "x:",
) -> Write:
    index = Index(f"{customer}recent", keep)
    return Write(
        f"x:tx:{transaction}", event_time, sequence, data, Rule.FIRST, f"{customer}latest", index
    )


def window(start: int, sequence: int, data: bytes, keep: int = 2) -> Write:
    return Write(
        f"x:window:{start}",
        start,
        sequence,
        data,
        Rule.NEWEST,
        index=Index("x:windows", keep, member=str(start), evict="x:window:"),
    )


class StoreConformance:
    """Subclass with a fixture `store` that gives an empty one."""

    def pass_time(self, milliseconds: int) -> None:
        """Let so much time pass on the store's clock."""
        time.sleep(milliseconds / 1000)

    def test_first_write_stays_and_is_told(self, store: Store) -> None:
        assert store.apply([payment("a", 10, 1, b"one")]) == [None]
        assert store.apply([payment("a", 10, 9, b"two")]) == [Stored(10, 1, b"one")]
        assert store.get("x:tx:a") == Stored(10, 1, b"one")

    def test_within_a_batch_the_first_stays_too(self, store: Store) -> None:
        answers = store.apply(
            [payment("a", 10, 1, b"one"), payment("a", 10, 2, b"two"), payment("b", 11, 3, b"b")]
        )
        assert answers == [None, Stored(10, 1, b"one"), None]

    def test_loser_never_enters_latest_or_index(self, store: Store) -> None:
        store.apply([payment("a", 10, 1, b"one"), payment("a", 99, 9, b"two")])
        assert store.get("x:latest") == Stored(10, 1, b"one")
        assert store.newest("x:recent", 9) == [b"one"]

    def test_a_reused_id_shows_nobody_anothers_value(self, store: Store) -> None:
        alice, bob = (
            payment("a", 10, 1, b"alice's"),
            payment("a", 20, 2, b"bob's", customer="x:bob:"),
        )
        for _ in range(2):
            store.apply([alice])
            assert store.apply([bob]) == [Stored(10, 1, b"alice's")]
        assert (store.get("x:latest"), store.newest("x:recent", 9)) == (
            Stored(10, 1, b"alice's"),
            [b"alice's"],
        )
        assert (store.get("x:bob:latest"), store.newest("x:bob:recent", 9)) == (None, [])

    def test_a_reused_id_leaves_an_owners_values_as_they_are(self, store: Store) -> None:
        own = payment("b", 5, 1, b"bob's own", customer="x:bob:")
        reused = payment("a", 20, 3, b"bob's", customer="x:bob:")
        assert store.apply([own, payment("a", 10, 2, b"alice's"), reused]) == [
            None,
            None,
            Stored(10, 2, b"alice's"),
        ]
        assert store.get("x:bob:latest") == Stored(5, 1, b"bob's own")
        assert store.newest("x:bob:recent", 9) == [b"bob's own"]

    def test_a_window_that_loses_enters_no_index(self, store: Store) -> None:
        other = Index("x:others", 2, member="60")
        store.apply([window(60, 5, b"first")])
        loser = Write("x:window:60", 60, 4, b"older", Rule.NEWEST, "x:latest", other)
        assert store.apply([loser]) == [Stored(60, 5, b"first")]
        assert (store.get("x:latest"), store.newest("x:others", 9)) == (None, [])

    def test_a_late_repetition_does_not_come_back_into_the_index(self, store: Store) -> None:
        writes = [payment(str(number), number, number, b"%d" % number) for number in range(5)]
        store.apply(writes)
        assert store.apply(writes[:1]) == [Stored(0, 0, b"0")]
        assert store.get("x:latest") == Stored(4, 4, b"4")
        assert store.newest("x:recent", 9) == [b"4", b"3", b"2"]

    @pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
    def test_any_order_gives_the_same(self, store: Store, order: tuple[int, ...]) -> None:
        writes = [
            payment("a", 10, 1, b"a"),
            payment("b", 20, 2, b"b"),
            payment("c", 20, 3, b"c"),
            payment("d", 5, 4, b"d"),
        ]
        store.apply([writes[place] for place in order])
        assert store.get("x:latest") == Stored(20, 3, b"c")
        assert store.newest("x:recent", 9) == [b"c", b"b", b"a"]

    def test_sequence_counts_as_a_number(self, store: Store) -> None:
        store.apply([payment("a", 10, 10, b"ten"), payment("b", 10, 9, b"nine")])
        assert store.get("x:latest") == Stored(10, 10, b"ten")

    def test_times_before_1970(self, store: Store) -> None:
        store.apply([payment("a", -20, 1, b"older"), payment("b", -10, 0, b"newer")])
        assert store.get("x:latest") == Stored(-10, 0, b"newer")
        assert store.newest("x:recent", 1) == [b"newer"]

    def test_repeating_everything_changes_nothing(self, store: Store) -> None:
        writes = [payment(str(number), number, number, str(number).encode()) for number in range(8)]
        store.apply(writes)
        before = (
            store.get("x:latest"),
            store.newest("x:recent", 9),
            [store.get(write.key) for write in writes],
        )
        for again in (writes, writes[::-1], writes[3:5]):
            stays = [Stored(write.event_time, write.sequence, write.data) for write in again]
            assert store.apply(again) == stays
            assert (
                store.get("x:latest"),
                store.newest("x:recent", 9),
                [store.get(w.key) for w in writes],
            ) == before

    def test_newest_rule_replaces_only_by_a_greater_version(self, store: Store) -> None:
        assert store.apply([window(60, 5, b"first")]) == [None]
        assert store.apply([window(60, 4, b"older")]) == [Stored(60, 5, b"first")]
        assert store.apply([window(60, 5, b"same")]) == [Stored(60, 5, b"first")]
        assert store.apply([window(60, 6, b"newer")]) == [None]
        assert store.get("x:window:60") == Stored(60, 6, b"newer")
        assert store.newest("x:windows", 9) == [b"60"]

    def test_what_leaves_the_index_takes_its_value_along(self, store: Store) -> None:
        store.apply([window(start, start, b"w") for start in (120, 60, 180)])
        assert store.newest("x:windows", 9) == [b"180", b"120"]
        assert store.get("x:window:60") is None
        assert store.get("x:window:120") is not None

    def test_nothing_to_do(self, store: Store) -> None:
        assert store.apply([]) == []
        assert store.get("x:tx:none") is None
        assert store.newest("x:none", 5) == []

    def test_bytes_are_kept_as_they_are(self, store: Store) -> None:
        data = bytes(range(256))
        store.apply([payment("a", 1, 1, data)])
        assert store.get("x:tx:a") == Stored(1, 1, data)

    def test_a_value_with_its_latest_and_index_is_kept_for_its_time(self, store: Store) -> None:
        write = dataclasses.replace(payment("a", 10, 1, b"one"), ttl_ms=150)
        store.apply([write, payment("b", 20, 2, b"b", customer="x:bob:")])
        assert store.get("x:tx:a") == Stored(10, 1, b"one")
        self.pass_time(300)
        assert (store.get("x:tx:a"), store.get("x:latest")) == (None, None)
        assert store.newest("x:recent", 9) == []
        assert store.get("x:tx:b") == Stored(20, 2, b"b")
        assert store.newest("x:bob:recent", 9) == [b"b"]
        # What is forgotten is no hindrance: the next write is the first.
        assert store.apply([payment("a", 5, 1, b"again")]) == [None]
        assert store.get("x:latest") == Stored(5, 1, b"again")

    def test_every_write_that_stays_renews_latest_and_index(self, store: Store) -> None:
        for number, name in (
            (2, "a"),
            (1, "b"),
        ):  # the second one is older, and renews all the same
            store.apply([dataclasses.replace(payment(name, number, 0, b"v"), ttl_ms=400)])
            self.pass_time(250)
        assert store.get("x:tx:a") is None
        assert store.get("x:latest") == Stored(2, 0, b"v")
        assert store.newest("x:recent", 9) == [b"v"]

    def test_a_value_written_for_good_stays_though_it_was_to_go(self, store: Store) -> None:
        store.apply([dataclasses.replace(window(60, 1, b"old"), ttl_ms=150), window(60, 2, b"new")])
        self.pass_time(300)
        assert store.get("x:window:60") == Stored(60, 2, b"new")
        assert store.newest("x:windows", 9) == [b"60"]

    def test_a_loser_renews_nothing(self, store: Store) -> None:
        write = dataclasses.replace(payment("a", 10, 1, b"one"), ttl_ms=150)
        store.apply([write])
        store.apply(
            [dataclasses.replace(write, ttl_ms=None), dataclasses.replace(write, ttl_ms=900)]
        )
        self.pass_time(300)
        assert store.get("x:tx:a") is None
