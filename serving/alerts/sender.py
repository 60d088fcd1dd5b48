"""Send alerts to people: alerts and acts in; webhook, mail and the log out.

A silenced alert is not sent, nor a reminder of one that somebody has acknowledged, unless it has
become graver, nor one that another alert hides (domain/alerts/routing.py). Offsets are committed
once every channel has taken the alert, so none is lost and some are sent twice after a kill. What a
product that restarts tells once more is not: a word is sent at its first place in the topic.
"""

from __future__ import annotations

import math
from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from config import instruments
from config.clock import now_ms
from config.errors import RetryableError, UserError
from config.files import mapping
from config.settings import Settings
from domain.alerts.acts import Acts
from domain.alerts.episodes import GRAVER, document, momentary
from domain.alerts.routing import Hidden, Routing, RoutingError, parse
from ingestion.wire.codec import UnreadableError
from serving.alerts.channels import Channel, Document, Log, Mail, RefusedError, Webhook, key
from serving.alerts.consumer import ACTS, ALERTS
from serving.consumers.product import Incoming, Product, Rebuild, Result
from serving.consumers.run import run

log = structlog.get_logger(__name__)
IN_A_ROW = 5
"""A channel that refuses so many alerts in a row is not set up rightly; the alerts are good."""
REMEMBERED = 10_000
"""Words known to be sent, so that a batch that is handled again sends only the rest."""
FIRST_PLACES = 50_000
"""Words whose first place in the topic is known, the newest; an older one is sent once more."""


class Sender(Product):
    """Alerts sent by every channel. `now` gives milliseconds.

    One told of more than `age_ms` ago is not sent, unless it is open still.
    """

    name = "alert-sender"
    topics = (ALERTS, ACTS)
    # What was silenced or seen before this process began is known first, and what is open.
    rebuild = (Rebuild(ACTS, everything=True), Rebuild(ALERTS, everything=True))
    batch_size = 50
    tick_every = 5.0
    tick_delivers = False

    def __init__(
        self,
        channels: Sequence[Channel],
        now: Callable[[], int],
        age_ms: float = math.inf,
        routing: Routing | None = None,
    ) -> None:
        self._routing = routing or Routing()
        self._hidden = Hidden(self._routing)
        self._channels, self._now, self._age_ms, self._acts = channels, now, age_ms, Acts()
        self._open: set[str] = set()
        self._left_out: set[str] = set()
        # What became of each word: empty when it was sent, else why it was refused.
        self._sent: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._first: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._refusals: Counts[str] = Counts()
        self._count = instruments.counter("millrace_alerts_sent_total")

    def register(self, registry: CollectorRegistry) -> None:
        """Add the count of what was sent to the metrics."""
        registry.register(self._count)

    def clear_state(self) -> None:
        """Forget the acts, what is open, and what was told where."""
        self._first.clear()
        self._acts.clear()
        self._open.clear()
        self._hidden.clear()

    def restore_state(self, row: Incoming) -> None:
        """Take up an act of before, or whether an alert is open."""
        if row.topic == ACTS:
            self._acts.take(row.record, row.offset)
            return
        alert = document(row.record)
        if self._repeated(row, alert):
            return
        self._hidden.take(alert)
        if row.record["state"] == "cleared":
            self._open.discard(row.record["alert_id"])
        else:
            self._open.add(row.record["alert_id"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Send the alerts by each channel, those of a group at once, then tell of what failed.

        Raise RetryableError while a channel is away: the batch comes again, and only the rest of it
        is sent. Raise UnreadableError if a channel refused one.
        """
        kept = self._hidden.copy()
        try:
            refused = self._send(self._due(batch))
        except RetryableError:
            self._hidden = kept  # the batch comes again
            raise
        if refused:
            self._hidden = kept
            raise UnreadableError("refused", refused)
        return [Result() for _ in batch]

    def _due(self, batch: Sequence[Incoming]) -> list[Document]:
        """Take up a batch; return the alerts that are to be sent, in order."""
        due: list[Document] = []
        for row in batch:
            if row.topic == ACTS:
                self._acts.take(row.record, row.offset)
                continue
            alert = document(row.record)
            if self._repeated(row, alert):
                self._count.labels("", "repeated").inc()
                continue
            hidden = self._hidden.take(alert)
            if self._old(row):
                self._count.labels("", "old").inc()
            elif hidden:
                self._count.labels("", "hidden").inc()
            elif self._wanted(alert):
                due.append(alert)
        return due

    def tick(self, now_ms: int) -> Sequence[Result]:
        """Send what was hidden and is still open, once nothing hides it any more.

        Raise RetryableError while a channel is away. A channel that refuses one has it no more.
        """
        released = self._hidden.released(now_ms)
        if refused := self._send([one for one in released if self._wanted(one)]):
            log.error("an alert is refused", detail=refused)
        self._hidden.told(released)
        return ()

    def _repeated(self, row: Incoming, alert: Document) -> bool:
        """Return whether the same word stands at an earlier place of the topic.

        There it has been handled, by this process or one before it, or is about to be.
        """
        place = row.partition, row.offset
        first = self._first.setdefault(key(alert), place)
        while len(self._first) > FIRST_PLACES:
            self._first.popitem(last=False)
        return first != place

    def _old(self, row: Incoming) -> bool:
        """Return whether nobody wants to hear of the alert any more."""
        alert_id, cleared = row.record["alert_id"], row.record["state"] == "cleared"
        if cleared and alert_id in self._left_out:
            return True
        if self._now() - row.timestamp <= self._age_ms:
            return False
        if cleared:  # else it would stay open for those who have heard of it
            return momentary(row.record)
        if alert_id in self._open:
            return False
        self._left_out.add(alert_id)
        return True

    def _wanted(self, alert: Document) -> bool:
        """Return whether people have not said that they need not hear of it."""
        if self._acts.silenced_until(alert, self._now()) is not None:
            self._count.labels("", "silenced").inc()
            return False
        reminds = alert["state"] == "still_open" and GRAVER not in alert["details"]
        if reminds and self._acts.acknowledged(alert) is not None:
            self._count.labels("", "acknowledged").inc()
            return False
        return True

    def _send(self, due: Sequence[Document]) -> str:
        """Send alerts by every channel; return why one was refused, if one was.

        Raise RetryableError if a channel is away: the others get theirs all the same.
        """
        away: dict[str, RetryableError] = {}
        for channel in self._channels:
            new = [one for one in due if (channel.name, key(one)) not in self._sent]
            for group in self._routing.groups(new) if channel.groups else [[one] for one in new]:
                try:
                    why = self._try(channel, group)
                except RetryableError as error:
                    away[channel.name] = error
                    break  # it would cost its time again, and get the alerts out of order
                for one in group:
                    self._sent[channel.name, key(one)] = why
        if away:
            raise next(iter(away.values()))
        words = [(channel.name, key(one)) for channel in self._channels for one in due]
        refused = [self._sent[word] for word in words if self._sent[word]]
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return refused[0] if refused else ""

    def _try(self, channel: Channel, alerts: Sequence[Document]) -> str:
        """Return why the channel refuses them, nothing if it took them. Raise RetryableError."""
        try:
            channel.send(*alerts)
        except RefusedError as error:
            self._refusals[channel.name] += 1
            if self._refusals[channel.name] >= IN_A_ROW:
                told = f"{channel.name} refuses one alert after the other, is it set up rightly?"
                raise RetryableError(f"{told} {error}") from None
            self._count.labels(channel.name, "refused").inc(len(alerts))
            return str(error)
        self._refusals[channel.name] = 0
        self._count.labels(channel.name, "sent").inc(len(alerts))
        return ""


def channels(settings: Settings) -> list[Channel]:
    """Return the channels that are set up; the log always is."""
    found: list[Channel] = [Log()]
    if url := settings.alerts_webhook_url.get_secret_value():
        found.append(Webhook(url, settings.alerts_webhook_form))
    if url := settings.alerts_smtp_url.get_secret_value():
        found.append(Mail(url, settings.alerts_mail_from, settings.alerts_mail_to))
    return found


def routing(path: Path) -> Routing:
    """Return what is sent together and what hides what. Raise UserError, naming the file."""
    try:
        return parse(mapping(path))
    except RoutingError as error:
        raise UserError(f"{path}: {error}") from None


if __name__ == "__main__":
    run(
        Sender.name,
        lambda settings: Sender(
            channels(settings),
            now_ms,
            settings.alerts_age_s * 1000,
            routing(settings.alerts_file),
        ),
    )
