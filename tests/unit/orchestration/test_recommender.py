"""The engine's lists, against neighbours written out in plain Python and cases made by hand."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from orchestration.recommendations.engine.index import Bounds
from orchestration.recommendations.engine.item import Wish
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.weights import STAN, TUNED, Decay
from tests.unit.orchestration.neighbours import KINDS, Known, scores

SMALL = Bounds(sessions=64, length=12, items=100, postings=4000, clicks=500)


def engine(**other: object) -> Recommender:
    return Recommender(SMALL, replace(TUNED, **other))  # type: ignore[arg-type]


def shop(seed: int, count: int = 40) -> list[Known]:
    draw = random.Random(seed)
    return [
        Known(
            draw.randrange(10**6),
            tuple(str(draw.randrange(15)) for _ in range(length)),
            tuple(draw.choices(KINDS, (8, 2, 1), k=length)),
        )
        for length in (draw.randint(1, 8) for _ in range(count))
    ]


def taught(sessions: list[Known], order: list[int] | None = None) -> Recommender:
    made = engine()
    for number in order or range(len(sessions)):
        one = sessions[number]
        made.observe(f"s{number}", one.started, one.items, one.actions)
    return made


@pytest.mark.parametrize("seed", range(12))
def test_scores_are_those_of_the_formula(seed: int) -> None:
    sessions = shop(seed)
    draw = random.Random(seed)
    made = taught(sessions)
    for _ in range(5):
        query = [str(draw.randrange(18)) for _ in range(draw.randint(1, 6))]
        wanted = scores(sessions, query, TUNED)
        found = made.recommend(query, wish=Wish(len(wanted)))
        assert {one.item: one.score for one in found} == pytest.approx(wanted, rel=1e-9)
        assert [one.score for one in found] == pytest.approx(sorted(wanted.values(), reverse=True))


def test_only_the_newest_sessions_of_an_item_are_neighbours() -> None:
    few = replace(TUNED, postings=4)
    sessions = [Known(at, ("a", f"b{at}"), ("view", "view")) for at in (5, 1, 4, 2, 6, 3)]
    made = Recommender(SMALL, few)
    for number, one in enumerate(sessions):
        made.observe(f"s{number}", one.started, one.items)
    found = made.recommend(["a"], wish=Wish(5))
    assert {one.item for one in found} == {"a", "b3", "b4", "b5", "b6"}
    wanted = scores(sessions, ["a"], few)
    assert {one.item: one.score for one in found} == pytest.approx(wanted)


def test_of_many_neighbours_the_most_similar_count() -> None:
    made = Recommender(SMALL, replace(TUNED, neighbours=2))
    made.observe("both", 1, ["a", "b", "near"])
    made.observe("newest", 2, ["b", "other"])
    made.observe("oldest", 3, ["a", "far"])
    found = {one.item for one in made.recommend(["a", "b"], wish=Wish(4))}
    assert found >= {"near", "other"}
    assert "far" not in {
        one.item
        for one in made.recommend(["a", "b"], wish=Wish(4))
        if one.why == "seen after" and one.of in ("a", "b")
    }


@pytest.mark.parametrize("seed", range(6))
def test_the_order_in_which_sessions_arrive_does_not_matter(seed: int) -> None:
    sessions = shop(seed)
    order = list(range(len(sessions)))
    random.Random(seed).shuffle(order)
    one, other = taught(sessions), taught(sessions, order)
    for query in (["1", "2"], ["3"], ["4", "5", "4"], ["unknown"]):
        assert other.recommend(query) == one.recommend(query)


def test_a_session_that_grew_click_by_click_is_the_one_that_came_whole() -> None:
    sessions = shop(3)
    grown = engine()
    for number, one in enumerate(sessions):
        for clicks in range(1, len(one.items) + 1):
            grown.observe(f"s{number}", one.started, one.items[:clicks], one.actions[:clicks])
    whole = taught(sessions)
    for query in (["1", "2"], ["3"], ["4", "5", "4"]):
        assert grown.recommend(query) == whole.recommend(query)
    assert grown.popular() == whole.popular()


def test_a_late_click_that_moves_the_start_and_a_session_that_leaves() -> None:
    made, wanted = engine(), engine()
    made.observe("s", 10, ["a", "b"])
    made.observe("gone", 11, ["a", "c"])
    made.observe("s", 5, ["z", "a", "b"])
    made.observe("gone", 11, [], clicks=3)
    wanted.observe("s", 5, ["z", "a", "b"])
    assert [one for one in made.recommend(["a"]) if one.why != "popular"] == [
        one for one in wanted.recommend(["a"]) if one.why != "popular"
    ]
    assert made.index.sessions == 1
    assert {one.item for one in made.popular()} == {"a", "b", "z"}


def test_what_is_older_than_what_is_known_changes_nothing() -> None:
    made = engine()
    assert made.observe("s", 1, ["a", "b", "c"])
    before = made.recommend(["b"])
    assert not made.observe("s", 1, ["a", "b"])
    assert not made.observe("s", 1, ["a", "b", "c"])
    assert made.recommend(["b"]) == before
    assert made.version("s") == 3


def test_memory_stays_what_it_is_and_the_oldest_sessions_leave() -> None:
    bounds = Bounds(sessions=8, length=4, items=30, postings=1300, clicks=10)
    made = Recommender(bounds, TUNED)
    draw = random.Random(1)
    sessions = [[f"i{n + draw.randrange(6)}" for _ in range(5)] for n in range(500)]
    for number, items in enumerate(sessions):
        made.observe(f"s{number}", number, items)
        assert made.index.sessions <= 8
        assert len(made.index) <= 30
    assert made.index.refused == 0
    kept = {item for items in sessions[-8:] for item in items[-4:]}
    assert {one.item for one in made.recommend([sessions[-1][-1]], wish=Wish(30))} <= kept
    assert sum(array.nbytes for array in (*made.index.arrays, *made._scratch)) <= bounds.arrays


def test_a_pool_that_is_full_keeps_fewer_sessions_of_each_item() -> None:
    bounds = Bounds(sessions=2000, length=4, items=40, postings=1600, clicks=10)
    made = Recommender(bounds, TUNED)
    draw = random.Random(2)
    for number in range(1500):
        made.observe(f"s{number}", number, [str(draw.randrange(30)) for _ in range(4)])
    used = made.index.arrays.used
    assert 4 <= used[used > 0].min() <= used.max() < 300
    newest = next(one for one in (f"s{n}" for n in range(1499, 0, -1)) if made.index.slot(one) >= 0)
    slot = made.index.slot(newest)
    first = made.index.name(int(made.index.arrays.items[slot, 0]))
    assert slot in made.index.sessions_of(first)


# What a list is to be


def small_shop() -> Recommender:
    made = engine()
    made.observe("1", 1, ["tent", "stove"], ["view", "transaction"])
    made.observe("2", 2, ["tent", "mat"])
    made.observe("3", 3, ["tent", "mat"])
    made.observe("4", 4, ["stove", "gas"])
    return made


def test_reasons_name_the_item_and_whether_the_others_bought() -> None:
    found = {one.item: (one.why, one.of) for one in small_shop().recommend(["tent"])}
    assert found == {
        "tent": ("seen", ""),
        "mat": ("seen after", "tent"),
        "stove": ("bought after", "tent"),
        "gas": ("seen after", "stove"),  # the second hop
    }


def test_what_was_just_bought_is_left_out() -> None:
    found = small_shop().recommend(["tent", "mat"], ["view", "transaction"])
    assert [one.item for one in found] == ["tent", "stove", "gas"]


def test_repeats_can_be_forbidden() -> None:
    found = small_shop().recommend(["mat", "tent"], wish=Wish(repeats=False))
    assert [one.item for one in found] == ["stove", "gas"]


def test_unavailable_items_are_left_out_until_they_are_back() -> None:
    made = small_shop()
    made.index.available("mat", yes=False)
    made.index.available("new", yes=False)
    made.observe("5", 5, ["tent", "new"])
    assert {one.item for one in made.recommend(["tent"])} == {"tent", "stove", "gas"}
    assert "mat" not in {one.item for one in made.popular()}
    made.index.available("mat", yes=True)
    made.popularity.refresh()
    assert "mat" in {one.item for one in made.recommend(["tent"])}
    assert "mat" in {one.item for one in made.popular()}


def test_its_own_session_is_no_neighbour() -> None:
    made = small_shop()
    made.observe("own", 9, ["lamp", "tent"])
    with_own = {one.item for one in made.recommend(["lamp"]) if one.why != "popular"}
    without = {one.item for one in made.recommend(["lamp"], session="own") if one.why != "popular"}
    assert {"lamp", "tent"} <= with_own
    assert without == {"lamp"}


def test_diversity_prefers_what_is_not_seen_with_the_first() -> None:
    made = engine()
    for number in range(4):
        made.observe(f"m{number}", number, ["tent", "mat", "pillow"])
    made.observe("s", 9, ["tent", "stove"])
    wish = Wish(limit=2, repeats=False)
    assert {one.item for one in made.recommend(["tent"], wish=wish)} == {"mat", "pillow"}
    found = made.recommend(["tent"], wish=replace(wish, diversity=0.5))
    assert "stove" in {one.item for one in found}


def test_items_of_one_category_are_alike() -> None:
    made = engine()
    for number, item in enumerate(("red", "red", "red", "blue", "blue", "sock")):
        made.observe(f"s{number}", number, ["hat", item])
    wish = Wish(limit=2, repeats=False)
    assert [one.item for one in made.recommend(["hat"], wish=wish)] == ["red", "blue"]
    for item in ("red", "blue"):
        made.index.categorise(item, "shirts")
    found = made.recommend(["hat"], wish=replace(wish, diversity=0.6))
    assert [one.item for one in found] == ["red", "sock"]


def test_cold_visitors_get_what_is_popular_in_the_category_first() -> None:
    made = small_shop()
    for item, category in (("gas", "fuel"), ("oil", "fuel"), ("mat", "beds")):
        made.index.categorise(item, category)
    assert [one.item for one in made.popular(2)] == ["tent", "mat"]
    assert [(one.item, one.why, one.of) for one in made.popular(2, "fuel")] == [
        ("gas", "popular", "fuel"),
        ("tent", "popular", ""),
    ]
    found = made.recommend(["oil"], wish=Wish(3))
    assert [one.item for one in found] == ["oil", "gas", "tent"]


def test_popularity_is_of_the_newest_clicks() -> None:
    made = Recommender(replace(SMALL, clicks=50), TUNED)
    for number in range(30):
        made.observe(f"old{number}", number, ["old"])
    for number in range(26):
        made.observe(f"new{number}", 100 + number, ["new"])
    assert [one.item for one in made.popular(2)] == ["new", "old"]
    assert made.popularity.count(made.index.item("old")) == 24


def test_a_query_leaves_nothing_behind() -> None:
    made = small_shop()
    before = len(made.index)
    first = made.recommend(["tent", "never", "seen"])
    assert made.recommend(["tent", "never", "seen"]) == first
    assert len(made.index) == before


def test_decays_without_an_end_and_with_one() -> None:
    assert Decay().table()[:2].tolist() == [1, 1]
    assert Decay(0).table()[:3].tolist() == [1, 0, 0]
    assert Decay(10, linear=True).table()[[0, 5, 11]].tolist() == [1, 0.5, 0]
    assert STAN.tables().repeat.max() == 0
