"""What the demo counts, remembers and shows."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from config.errors import UserError
from config.settings import Settings, settings
from ingestion.fraud.simulator import DAY_MS
from millrace.cli.demo import suit_minutes
from millrace.demo import show, signals
from millrace.demo.show import look_up
from millrace.demo.tally import Figures, Tally, percentile
from millrace.demo.traffic import Story, wait_until
from millrace.demo.view import PlainView, page, summary
from millrace.stack import lifecycle
from millrace.stack.supervisor import Info, Supervisor


def _record(
    name: str, decision: str, produced_at: int = 1000, amount: float = 10.0
) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "customer_id": "c",
        "amount": amount,
        "score": 0.5,
        "decision": decision,
        "reasons": ["customer_ratio_30d"],
        "produced_at": produced_at,
    }


def _figures() -> Figures:
    tally = Tally(started=100.0, warm_up_s=1.0)
    for name, fraud in (("a", True), ("b", True), ("c", False), ("d", False)):
        tally.sent(name, fraud, 101.0)
    tally.scored(_record("a", "block", amount=70.0), 1010, 102.0)
    tally.scored(_record("b", "approve"), 1030, 102.0)
    tally.scored(_record("c", "review"), 1020, 102.0)
    tally.scored(_record("not ours", "block"), 9000, 102.0)
    return tally.figures(102.0)


def test_the_tally_knows_fraud_from_false_alarms() -> None:
    found = _figures()
    assert (found.sent, found.scored, found.frauds, found.caught, found.blocked) == (4, 3, 2, 1, 1)
    assert (found.alarms, found.false_alarms, found.amount_caught) == (2, 1, 70.0)
    assert (found.p50, found.p99) == (20.0, 30.0)
    assert (found.rate_in, found.rate_out) == (2.0, 1.5)
    assert [score.transaction_id for score in found.latest] == ["c", "b", "a"]


def test_old_rates_fade_and_warming_up_is_left_out_of_the_summary() -> None:
    tally = Tally(started=0.0, warm_up_s=10.0)
    tally.sent("a", fraud=False, now=1.0)
    assert tally.outstanding == 1
    tally.scored(_record("a", "approve"), 5000, 1.0)
    assert tally.outstanding == 0
    found = tally.figures(60.0)
    assert (found.rate_in, found.recent_p50, found.p50, found.scored) == (0.0, None, None, 1)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (0.0, 1), (1.0, 4)])
def test_percentiles_are_nearest_rank(share: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], share) == value


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None


def test_each_demo_goes_on_after_the_last_with_ids_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    first = Story(path)
    payments = list(islice(first.payments(), 2000))
    first.reached(payments[-1].transaction.event_time)
    second = Story(path)
    later = list(islice(second.payments(), 2000))
    assert later[0].transaction.event_time > payments[-1].transaction.event_time
    assert second.start_ms % DAY_MS == 0
    assert not {one.transaction.transaction_id for one in payments} & {
        one.transaction.transaction_id for one in later
    }
    assert json.loads(path.read_text())["run"] == 1


@pytest.mark.parametrize(
    "text", ["", '{"run": 1, "unt', "{}", '{"run": 1, "until_ms": null}', "[]"]
)
def test_a_story_that_was_cut_off_is_told_not_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "demo.json").write_text(text)
    with pytest.raises(UserError, match=r"demo\.json does not say .*`millrace reset`"):
        Story(tmp_path / "demo.json")


@pytest.mark.parametrize("sent", signals.ENDING)
def test_whatever_ends_the_demo_is_an_interrupt(sent: signal.Signals, handlers: None) -> None:
    del handlers
    signals.interruptible()
    with pytest.raises(KeyboardInterrupt):
        _sent_to_itself(sent)


def test_what_a_shell_has_ignored_stays_ignored(handlers: None) -> None:
    del handlers
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.interruptible()
    _sent_to_itself(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def _sent_to_itself(sent: signal.Signals) -> None:
    os.kill(os.getpid(), sent)
    time.sleep(0.01)


@pytest.fixture
def handlers() -> Iterator[None]:
    """The test may set handlers: the old ones come back.

    It begins with the usual ones, which `nohup` takes away.
    """
    before = {one: signal.getsignal(one) for one in signals.ENDING}
    for one in signals.ENDING:
        signal.signal(one, signal.SIG_DFL)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


class Quiet:
    """A sender without Kafka."""

    stopped = False

    def stop(self, _within_s: float) -> None:
        self.stopped = True


@pytest.mark.parametrize("when", ["complete", "starting", "streaming"])
@pytest.mark.parametrize("keep", [True, False], ids=["keep", "no keep"])
@pytest.mark.parametrize("before", ["ran before", "stopped before", "nothing before"])
def test_what_is_stopped_and_what_stays(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    handlers: None,
    before: str,
    keep: bool,
    when: str,
) -> None:
    """Payments stop always.

    The stack goes down unless it ran before, or is to stay and all went well.
    """
    del handlers
    info = {"ran before": [0, 7], "stopped before": [0, 0], "nothing before": []}[before]
    known = {str(place): Info(str(place), "RUNNING", pid, 0.0, 0) for place, pid in enumerate(info)}
    console, sender = Console(record=True), Quiet()
    events: list[str] = []

    def start(*_: object) -> None:
        known["started"] = Info("started", "RUNNING", 8, 0.0, 0)
        if when == "starting":
            raise KeyboardInterrupt

    monkeypatch.setattr(Supervisor, "info", lambda _: known)
    monkeypatch.setattr(show, "_start", start)
    monkeypatch.setattr(
        lifecycle, "down", lambda *_: events.append(f"down, payments stopped: {sender.stopped}")
    )
    with (
        nullcontext() if when == "complete" else pytest.raises(KeyboardInterrupt),
        show._stack(Settings(state_dir=tmp_path), console, sender, keep=keep),  # type: ignore[arg-type]
    ):
        if when == "streaming":
            raise KeyboardInterrupt
    stays = before == "ran before" or (keep and when == "complete")
    assert events == ([] if stays else ["down, payments stopped: True"])
    assert sender.stopped
    assert ("stays up" in console.export_text()) == (before == "ran before")


@pytest.mark.parametrize("said", [0, 1])
def test_the_stack_goes_down_whatever_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: None, said: int
) -> None:
    """Second and third signals, and a terminal that is closed, end no clean-up."""
    del handlers
    heard: list[str] = []

    def down(_settings: Settings, say: lifecycle.Say) -> None:
        for sent in signals.ENDING * 2:
            _sent_to_itself(sent)
        say("stopped")
        heard.append("down")

    def printed(text: str) -> None:
        if not said:
            raise OSError(5, "Input/output error")
        heard.append(text)

    monkeypatch.setattr(lifecycle, "down", down)
    monkeypatch.setattr(show, "_start", lambda *_: None)
    monkeypatch.setattr(show, "sayer", lambda _: printed)
    signals.interruptible()
    with (
        pytest.raises(KeyboardInterrupt),
        show._stack(Settings(state_dir=tmp_path), Console(), Quiet(), keep=True),  # type: ignore[arg-type]
    ):
        _sent_to_itself(signal.SIGHUP)
    told = ["taking the stack down", "finishing, a moment", "stopped"]
    assert heard == [*(told if said else []), "down"]


def test_plain_lines_come_every_five_seconds() -> None:
    console = Console(record=True, width=200, force_terminal=False)
    view = PlainView(console)
    tally = Tally(0.0, 0.0)
    for now in (1.0, 5.0, 6.0, 9.9, 10.0):
        view.show(tally.figures(now))
    assert [line.split()[0] for line in console.export_text().splitlines()] == ["5", "10"]


def test_the_page_and_the_summary_say_what_was_caught() -> None:
    console = Console(record=True, width=160)
    console.print(page(_figures(), 60.0, "curl it"))
    shown = console.export_text()
    assert "3 of 4 scored" in shown
    assert "1 of 2" in shown
    assert "customer_ratio_30d" in shown
    assert "curl it" in shown
    assert any(
        "fraud caught: 1 of 2 (50%), 1 of them blocked" in line for line in summary(_figures())
    )


@pytest.mark.parametrize(("given", "seconds"), [(None, 10), ("30", 30)])
def test_the_lake_commits_more_than_once_in_a_demo(
    given: str | None, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "MILLRACE_LAKE_COMMIT_SECONDS"
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)
    settings.cache_clear()
    suit_minutes(keep=True)
    assert settings().lake_commit_seconds == seconds
    settings.cache_clear()


@pytest.mark.parametrize(("keep", "second"), [(True, True), (False, False)])
@pytest.mark.usefixtures("fresh_settings")
def test_a_stack_that_is_kept_has_its_second_compiler(
    keep: bool, second: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Set and removed, so that what the call sets is undone.
    monkeypatch.setenv("MILLRACE_JVM_SECOND_COMPILER", "true")
    monkeypatch.delenv("MILLRACE_JVM_SECOND_COMPILER")
    settings.cache_clear()
    suit_minutes(keep=keep)
    assert settings().jvm_second_compiler is second


def test_the_look_up_holds_no_key(tmp_path: Path) -> None:
    own = look_up(Settings(state_dir=tmp_path, port_offset=0), "t1")
    assert own.splitlines() == [
        f'curl -H "X-API-Key: $(cat {tmp_path}/secrets/api-key)" \\',
        "  http://127.0.0.1:19080/v1/fraud/transactions/t1",
    ]
    given = look_up(Settings.model_validate({"state_dir": tmp_path, "api_keys": "hush"}), "t1")
    assert "hush" not in given


def test_waiting_ends_when_it_comes_true_or_never_does() -> None:
    answers = iter([False, True])
    assert wait_until(lambda: next(answers), 5.0)
    assert not wait_until(lambda: False, 0.0)
