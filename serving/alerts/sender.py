"""Send alerts to people: alerts and acts in; webhook, mail and the log out.

A silenced alert is not sent, nor a reminder of one that somebody has acknowledged, unless it has
become graver. Offsets are committed once every channel has taken the alert, so none is lost and
some come twice after a kill.
"""

from __future__ import annotations

import math
from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter

from config.clock import now_ms
from config.errors import RetryableError
from config.settings import Settings
from domain.alerts.acts import Acts
from domain.alerts.episodes import GRAVER, document, momentary
from ingestion.wire.codec import UnreadableError
from serving.alerts.channels import Channel, Document, Log, Mail, RefusedError, Webhook, key
from serving.alerts.consumer import ACTS, ALERTS
from serving.consumers.product import Incoming, Product, Rebuild, Result
from serving.consumers.run import run

IN_A_ROW = 5
"""A channel that refuses so many alerts in a row is not set up rightly; the alerts are good."""
REMEMBERED = 10_000
"""Words known to be sent, so that a batch that is handled again sends only the rest."""


class Sender(Product):
    """Alerts sent by every channel. `now` gives milliseconds.

    One told of more than `age_ms` ago is not sent, unless it is open still.
    """

    name = "alert-sender"
    topics = (ALERTS, ACTS)
    # What was silenced or seen before this process began is known first, and what is open.
    rebuild = (Rebuild(ACTS, everything=True), Rebuild(ALERTS, everything=True))
    batch_size = 10

    def __init__(
        self, channels: Sequence[Channel], now: Callable[[], int], age_ms: float = math.inf
    ) -> None:
        self._channels, self._now, self._age_ms, self._acts = channels, now, age_ms, Acts()
        self._open: set[str] = set()
        self._left_out: set[str] = set()
        # What became of each word: empty when it was sent, else why it was refused.
        self._sent: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._refusals: Counts[str] = Counts()
        self._count = Counter(
            "millrace_alerts_sent",
            "Alerts by channel and outcome: sent, refused, silenced, acknowledged, old.",
            ["channel", "outcome"],
            registry=None,
        )

    def register(self, registry: CollectorRegistry) -> None:
        """Add the count of what was sent to the metrics."""
        registry.register(self._count)

    def clear_state(self) -> None:
        """Forget the acts, and what is open."""
        self._acts.clear()
        self._open.clear()

    def restore_state(self, row: Incoming) -> None:
        """Take up an act of before, or whether an alert is open."""
        if row.topic == ACTS:
            self._acts.take(row.record)
        elif row.record["state"] == "cleared":
            self._open.discard(row.record["alert_id"])
        else:
            self._open.add(row.record["alert_id"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Send each alert by each channel, then tell of what failed.

        Raise RetryableError while a channel is away: the batch comes again, and only the rest of it
        is sent. Raise UnreadableError if a channel refused one.
        """
        away: dict[str, RetryableError] = {}
        refused: list[str] = []
        for row in batch:
            if row.topic == ACTS:
                self._acts.take(row.record)
            elif self._old(row):
                self._count.labels("", "old").inc()
            else:
                self._send(document(row.record), away, refused)
        if away:
            raise next(iter(away.values()))
        if refused:
            raise UnreadableError("refused", refused[0])
        return [Result() for _ in batch]

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

    def _send(self, alert: Document, away: dict[str, RetryableError], refused: list[str]) -> None:
        if self._acts.silenced_until(alert, self._now()) is not None:
            self._count.labels("", "silenced").inc()
            return
        reminds = alert["state"] == "still_open" and GRAVER not in alert["details"]
        if reminds and self._acts.acknowledged(alert) is not None:
            self._count.labels("", "acknowledged").inc()
            return
        for channel in self._channels:
            if channel.name in away:
                continue  # it would cost its time again, and get the alerts out of order
            word = (channel.name, key(alert))
            if word not in self._sent:
                try:
                    why = self._try(channel, alert)
                except RetryableError as error:
                    away[channel.name] = error
                    continue  # the other channels get it all the same
                self._sent[word] = why
                if len(self._sent) > REMEMBERED:
                    self._sent.popitem(last=False)
            if self._sent[word]:
                refused.append(self._sent[word])

    def _try(self, channel: Channel, alert: Document) -> str:
        """Return why the channel refuses the alert, nothing if it took it. Raise RetryableError."""
        try:
            channel.send(alert)
        except RefusedError as error:
            self._refusals[channel.name] += 1
            if self._refusals[channel.name] >= IN_A_ROW:
                told = f"{channel.name} refuses one alert after the other, is it set up rightly?"
                raise RetryableError(f"{told} {error}") from None
            self._count.labels(channel.name, "refused").inc()
            return str(error)
        self._refusals[channel.name] = 0
        self._count.labels(channel.name, "sent").inc()
        return ""


def channels(settings: Settings) -> list[Channel]:
    """Return the channels that are set up; the log always is."""
    found: list[Channel] = [Log()]
    if url := settings.alerts_webhook_url.get_secret_value():
        found.append(Webhook(url, settings.alerts_webhook_form))
    if url := settings.alerts_smtp_url.get_secret_value():
        found.append(Mail(url, settings.alerts_mail_from, settings.alerts_mail_to))
    return found


if __name__ == "__main__":
    run(
        Sender.name,
        lambda settings: Sender(channels(settings), now_ms, settings.alerts_age_s * 1000),
    )
