"""Run the demo: train a model and load a past while the stack starts, then stream."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import URLError

from rich.console import Console

from config.errors import UserError
from config.settings import ROOT, Settings
from ingestion.kafka.producer import client_log
from millrace.demo import watched
from millrace.demo.picture import chromium, take
from millrace.demo.saying import sayer
from millrace.demo.shop import shop
from millrace.demo.stack import running
from millrace.demo.tally import Figures, Tally
from millrace.demo.traffic import LEAD_IN_DAYS, Receiver, Sender, Story, wait_until
from millrace.demo.view import summary, view
from millrace.stack import api, environ, lifecycle
from millrace.stack.layout import Layout

STARTUP_S = 240.0
DRAIN_S = 20.0


def demo(
    settings: Settings,
    console: Console,
    seconds: float,
    rate: float,
    *,
    keep: bool,
    picture: Path | None = None,
) -> Figures:
    """Run the demo and return its figures; save a picture of the live page before it ends.

    Raise UserError if something does not start or no score arrives.
    """
    if picture is not None:
        chromium()  # said now, not after minutes
    # The client's lines ("coordinator load in progress") are about parts that are still starting,
    # and would tear the page apart. What it gives up is raised.
    client_log.setLevel(logging.CRITICAL)
    story = Story(settings.state_dir / "demo.json")
    sender = Sender(settings, story, rate)
    with _stack(settings, console, sender, keep=keep):
        figures, last, beside = _stream(settings, console, seconds, sender, picture)
        for text in (*summary(figures), *beside):
            console.print(text, highlight=False, soft_wrap=True)
        if picture is not None:
            console.print(f"the live page as it was: {picture}", highlight=False, soft_wrap=True)
        if not figures.scored:
            raise UserError(
                f"no score arrived: `millrace doctor`, and the logs in {Layout.of(settings).logs}"
            )
        _show_look_up(settings, console, last)
        if watched.on(settings):
            watched.show(settings, sayer(console))
        if keep:
            console.print(
                "The stack stays up: `millrace status`, `millrace down`.", highlight=False
            )
    return figures


def _stack(
    settings: Settings, console: Console, sender: Sender, *, keep: bool
) -> AbstractContextManager[None]:
    """Start the stack and load a past; stop it afterwards unless it is kept or ran before."""
    return running(
        settings,
        sayer(console),
        lambda: _start(settings, console, sender),
        lambda: sender.stop(DRAIN_S),
        keep=keep,
    )


def _start(settings: Settings, console: Console, sender: Sender) -> None:
    """Start everything; train a first model and load the payments' past while it starts."""
    say = sayer(console)
    layout = Layout.of(settings)
    began = time.monotonic()
    training = _Training(layout, say)

    def meanwhile(ready: Set[str]) -> None:
        training.look()
        if "topics" in ready and sender.ident is None:
            sender.start()

    try:
        lifecycle.up(settings, say, (), STARTUP_S, meanwhile)
        training.finish()
    finally:
        training.stop()
    if sender.ident is None:
        sender.start()
    _wait_for_the_past(settings, sender)
    say(f"{LEAD_IN_DAYS} days of payments before the clock starts: {len(sender.lead_in):,}, scored")
    say(f"ready after {time.monotonic() - began:.0f} s")
    say(f"live page: {_page(settings)} (its key: cat {Layout.of(settings).api_key})")


def _page(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port('api')}/"


def _wait_for_the_past(settings: Settings, sender: Sender) -> None:
    """Wait until the last payment of the past has a decision."""

    def scored() -> bool:
        try:
            return sender.loaded and _found(settings, sender.lead_in[-1]) is not None
        except (URLError, OSError):
            return False

    done = wait_until(lambda: not sender.is_alive() or scored(), STARTUP_S)
    if sender.error is not None:
        raise sender.error
    if not done:
        raise UserError(
            "the payments are not scored: "
            f"`millrace doctor`, and the logs in {Layout.of(settings).logs}"
        )


class _Training:
    """Run `millrace train fraud --simulate --promote` beside the starting stack if needed.

    Payments wait in Kafka until there is a model; the consumer takes it up by itself.
    """

    def __init__(self, layout: Layout, say: lifecycle.Say) -> None:
        self._current, self._say = layout.current_model("fraud"), say
        self._process: subprocess.Popen[bytes] | None = None
        if not self._current.exists():
            say("training a first model on simulated payments while the stack starts")
            self._log = layout.logs / "train.log"
            self._log.parent.mkdir(parents=True, exist_ok=True)
            line = (
                sys.executable,
                "-m",
                "millrace.cli.main",
                "train",
                "fraud",
                "--simulate",
                "--promote",
                "--json",
            )
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    line, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
                )

    def look(self) -> None:
        """Report the end of the training. Raise UserError if it failed."""
        if self._process is None or self._process.poll() is None:
            return
        code, self._process = self._process.returncode, None
        if code:
            raise UserError(f"training failed: see {self._log}")
        self._say(f"model {self._current.read_text().strip()} trained")

    def finish(self) -> None:
        """Wait for the training and report it. Raise UserError if it failed or takes too long."""
        if self._process is not None:
            try:
                self._process.wait(STARTUP_S)
            except subprocess.TimeoutExpired:
                raise UserError(f"training takes too long: see {self._log}") from None
        self.look()

    def stop(self) -> None:
        """End the training if it still runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def _stream(
    settings: Settings, console: Console, seconds: float, sender: Sender, picture: Path | None
) -> tuple[Figures, str | None, list[str]]:
    started = time.monotonic()
    tally = Tally(started, warm_up_s=min(15.0, seconds / 3))
    stop_reading = threading.Event()
    receiver = Receiver(settings, tally, stop_reading)
    receiver.start()
    sender.go(tally)
    visitors = shop(settings)
    beside: list[str] = []
    if visitors is not None:
        visitors.start()
    try:
        with view(console, seconds, look_up(settings, sender.lead_in[-1])) as shown:
            while (
                time.monotonic() - started < seconds and sender.is_alive() and receiver.is_alive()
            ):
                beside = visitors.lines() if visitors is not None else []
                shown.show(tally.figures(time.monotonic()), beside)
                time.sleep(0.25)
            if picture is not None:  # events go on meanwhile
                take(_page(settings), environ.api_keys(settings).split(",")[0], picture)
            sender.stop(DRAIN_S)
            streamed = time.monotonic()
            wait_until(lambda: tally.outstanding == 0 or not receiver.is_alive(), DRAIN_S)
    finally:
        if visitors is not None:
            visitors.stop()
        stop_reading.set()
        receiver.join(DRAIN_S)
    for error in (sender.error, receiver.error):
        if error is not None:
            raise error
    figures = tally.figures(streamed)
    last = figures.latest[0].transaction_id if figures.latest else None
    return figures, last, beside


def look_up(settings: Settings, transaction_id: str) -> str:
    """Return the command that asks the API for a decision, to paste.

    It has two lines, since no terminal breaks it elsewhere.
    """
    own = not settings.api_keys.get_secret_value()
    kept = shlex.quote(str(Layout.of(settings).api_key))
    key = f"$(cat {kept})" if own else "<one of MILLRACE_API_KEYS>"
    return f'curl -H "X-API-Key: {key}" \\\n  {api.url(settings, _path(transaction_id))}'


def _path(transaction_id: str) -> str:
    return f"/v1/fraud/transactions/{transaction_id}"


def _show_look_up(settings: Settings, console: Console, transaction_id: str | None) -> None:
    """Ask the API for a decision that was just made, as a person would."""
    if transaction_id is None:
        return
    try:
        found = _found(settings, transaction_id)
    except (URLError, OSError, ValueError) as error:
        raise UserError(f"the API does not answer for {transaction_id}: {error}") from error
    if found is None:
        raise UserError(f"the API knows no decision on {transaction_id}")
    console.print(look_up(settings, transaction_id), highlight=False, soft_wrap=True)
    console.print(json.dumps(found), highlight=False, soft_wrap=True)


def _found(settings: Settings, transaction_id: str) -> dict[str, Any] | None:
    """Return the API's answer, or None if it knows of no decision."""
    found: dict[str, Any] | None = api.get(settings, _path(transaction_id))
    return found
