"""Send alerts to people: alerts and acts in; webhook, mail and the log out.

A silenced alert is not sent, nor a reminder of one that somebody has acknowledged. Offsets are
committed once every channel has taken the alert, so none is lost and some come twice after a kill.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter

from config.errors import RetryableError
from config.settings import Settings
from domain.alerts.acts import Acts
from domain.alerts.episodes import document
from ingestion.wire.codec import UnreadableError
from serving.alerts.channels import Channel, Document, Log, Mail, RefusedError, Webhook, key
from serving.alerts.consumer import ACTS, ALERTS
from serving.consumers.product import Incoming, Product, Rebuild, Result
from serving.consumers.run import run

REMEMBERED = 10_000
"""Words known to be sent, so that a batch that is handled again sends only the rest."""


class Sender(Product):
    """Alerts sent by every channel. `now` gives milliseconds."""

    name = "alert-sender"
    topics = (ALERTS, ACTS)
    # What was silenced or seen before this process began is known first.
    rebuild = Rebuild(ACTS, everything=True)
    batch_size = 10

    def __init__(self, channels: Sequence[Channel], now: Callable[[], int]) -> None:
        self._channels, self._now, self._acts = channels, now, Acts()
        self._sent: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._count = Counter(
            "millrace_alerts_sent",
            "Alerts by channel and what became of them: sent, silenced, acknowledged.",
            ["channel", "outcome"],
            registry=None,
        )

    def register(self, registry: CollectorRegistry) -> None:
        """Add the count of what was sent to the metrics."""
        registry.register(self._count)

    def clear_state(self) -> None:
        """Forget the acts."""
        self._acts.clear()

    def restore_state(self, row: Incoming) -> None:
        """Take up an act of before."""
        self._acts.take(row.record)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Send each alert. Raise RetryableError while a channel is away, and try again."""
        for row in batch:
            if row.topic == ACTS:
                self._acts.take(row.record)
            else:
                self._send(document(row.record))
        return [Result() for _ in batch]

    def _send(self, alert: Document) -> None:
        if self._acts.silenced_until(alert, self._now()) is not None:
            self._count.labels("", "silenced").inc()
            return
        if alert["state"] == "still_open" and self._acts.acknowledged(alert) is not None:
            self._count.labels("", "acknowledged").inc()
            return
        failed: RetryableError | RefusedError | None = None
        for channel in self._channels:
            word = (channel.name, key(alert))
            if word in self._sent:
                continue
            try:
                channel.send(alert)
            except (RetryableError, RefusedError) as error:
                failed = failed if isinstance(failed, RetryableError) else error
                continue  # the other channels get it all the same
            self._sent[word] = None
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
            self._count.labels(channel.name, "sent").inc()
        if isinstance(failed, RefusedError):
            raise UnreadableError("refused", str(failed)) from failed
        if failed is not None:
            raise failed


def channels(settings: Settings) -> list[Channel]:
    """Return the channels that are set up; the log always is."""
    found: list[Channel] = [Log()]
    if url := settings.alerts_webhook_url.get_secret_value():
        found.append(Webhook(url, settings.alerts_webhook_form))
    if url := settings.alerts_smtp_url.get_secret_value():
        found.append(Mail(url, settings.alerts_mail_from, settings.alerts_mail_to))
    return found


def _wall() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    run(Sender.name, lambda settings: Sender(channels(settings), _wall))
