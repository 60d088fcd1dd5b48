"""An alert's life, told step by step."""

from __future__ import annotations

from domain.alerts.episodes import Episode, Policy, severity, step

POLICY = Policy(open_at=0.5, clear_after=2, remind_ms=100)


def lives(*scores: tuple[int, float]) -> list[tuple[int, str, str, str]]:
    """Return (time, state, id, severity) of what is told of these observations."""
    told: list[tuple[int, str, str, str]] = []
    episode: Episode | None = None
    for now, score in scores:
        kinds = ("HOT",) if score else ()
        episode, state, of = step(POLICY, episode, "s", now=now, score=score, kinds=kinds)
        if state is not None and of is not None:
            told.append((now, state, of.alert_id, of.severity))
    return told


def test_it_opens_once_is_told_of_when_graver_or_long_and_clears_after_calm() -> None:
    assert lives(
        (1, 0.4), (2, 0.6), (3, 0.6), (4, 0.95), (5, 0.6), (6, 0.0), (7, 0.6),
        (50, 0.6), (104, 0.6), (105, 0.0), (106, 0.1), (107, 0.0), (108, 0.7),
    ) == [
        (2, "open", "s/2", "warning"),
        (4, "still_open", "s/2", "critical"),
        (104, "still_open", "s/2", "critical"),
        (106, "cleared", "s/2", "critical"),
        (108, "open", "s/108", "warning"),
    ]  # fmt: skip


def test_an_episode_gathers_what_was_found_and_the_highest_score() -> None:
    first, _, _ = step(POLICY, None, "s", now=1, score=0.6, kinds=("A",))
    second, state, _ = step(POLICY, first, "s", now=2, score=0.8, kinds=("B", "A"))
    third, _, _ = step(POLICY, second, "s", now=3, score=0.6, kinds=("A",))
    assert state is None
    assert third is not None
    assert (third.kind, third.kinds, third.score, third.readings) == ("A", ("A", "B"), 0.8, 3)


def test_severity_is_the_scores_and_one_step_by_how_critical_the_asset_is() -> None:
    told = {
        (score, critical): severity(score, critical)  # type: ignore[arg-type]
        for score in (0.4, 0.5, 0.9)
        for critical in ("low", "normal", "high")
    }
    assert told == {
        (0.4, "low"): "info",
        (0.4, "normal"): "info",
        (0.4, "high"): "warning",
        (0.5, "low"): "info",
        (0.5, "normal"): "warning",
        (0.5, "high"): "critical",
        (0.9, "low"): "warning",
        (0.9, "normal"): "critical",
        (0.9, "high"): "critical",
    }
