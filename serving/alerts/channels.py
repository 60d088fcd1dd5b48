"""Send one alert to somebody: a webhook, mail, the log.

Each channel sends an alert's document or raises: RetryableError while the other side is away or not
set up rightly, RefusedError for an alert that it will never take. What is sent twice has the same
key, by which the other side can tell.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx
import structlog

from config.clock import now_ms
from config.errors import RetryableError, UserError
from domain.alerts.episodes import SEVERITIES, momentary
from domain.alerts.prometheus import MARK
from domain.times import iso

log = structlog.get_logger(__name__)
TIMEOUT_S = 5.0
OPEN_MS = 7 * 86_400_000
"""How long Alertmanager takes an alert for open of which it hears nothing more.

Longer than between two reminders; some kinds have none.
"""
MOMENT_MS = 3_600_000
"""The same of one that tells of a moment: long enough that Alertmanager tells somebody."""
# The alert itself is at fault: sent again it would be refused again.
_REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_PERMANENT = 500  # of SMTP's answers
Document = Mapping[str, Any]


class RefusedError(Exception):
    """Raised for an alert that the other side does not take."""


class Channel(Protocol):
    """Where alerts are sent."""

    name: str
    groups: bool
    """True if it takes several alerts as one message."""

    def send(self, *alerts: Document) -> None:
        """Send one alert, or several of a group at once. Raise RetryableError or RefusedError."""
        ...


def key(*alerts: Document) -> str:
    """Return what tells this word on the alerts from every other one, however often it is sent."""
    words = (f"{one['alert_id']}|{one['event_time']}|{one['state']}" for one in alerts)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def line(alert: Document) -> str:
    """Return the alert in one line."""
    state = "once" if momentary(alert) else alert["state"].replace("_", " ")
    return f"[{alert['severity']}] {state}: {alert['message']}"


def heading(alerts: Sequence[Document]) -> str:
    """Return several alerts of a group in one line."""
    if len(alerts) == 1:
        return line(alerts[0])
    gravest = max((one["severity"] for one in alerts), key=SEVERITIES.index)
    kinds = ", ".join(dict.fromkeys(one["kind"] for one in alerts))
    places = ", ".join(dict.fromkeys(one["location"] for one in alerts if one["location"]))
    return f"[{gravest}] {len(alerts)} alerts: {kinds}" + (f" in {places}" if places else "")


def plain(alert: Document, _: int) -> Any:
    """Return the body of a webhook that takes the alert as it is."""
    return dict(alert)


def slack(*alerts: Document) -> Any:
    """Return the body that Slack and what is compatible with it take."""
    lines = [line(one) for one in alerts]
    return {"text": "\n".join([heading(alerts), *lines] if len(lines) > 1 else lines)}


def alertmanager(alert: Document, now: int) -> Any:
    """Return the body of Alertmanager's `/api/v2/alerts`; labels say which alert it is.

    Without an end it would resolve the alert by itself within minutes.
    """
    labels = {"alertname": alert["kind"], "alert_id": alert["alert_id"]}
    labels |= {name: alert[name] for name in ("entity", "severity", "product") if alert[name]}
    # Severity may rise while it is open: as a label it would make another alert of it.
    severity = labels.pop("severity")
    ends = alert["event_time"]
    if alert["state"] != "cleared" or momentary(alert):
        ends = iso(now + (MOMENT_MS if momentary(alert) else OPEN_MS))
    body = {
        "labels": labels,
        "annotations": {"summary": alert["message"], "severity": severity},
        "startsAt": alert["opened_at"],
        "endsAt": ends,
    }
    return [body]


FORMS: dict[str, Callable[[Document, int], Any]] = {
    "json": plain,
    "slack": lambda alert, _: slack(alert),
    "alertmanager": alertmanager,
}


class Webhook:
    """POST JSON, with the header `Idempotency-Key`."""

    name = "webhook"

    def __init__(self, url: str, form: str, now: Callable[[], int] = now_ms) -> None:
        self._url, self._form, self._now = url, FORMS[form], now
        self.groups = form == "slack"
        self._client = httpx.Client(timeout=TIMEOUT_S)

    def send(self, *alerts: Document) -> None:
        """Send them; only an answer of 2xx counts as sent, or of 409: it was before."""
        if self._form is alertmanager and MARK in alerts[0]["details"]:
            return  # it comes from there
        body = slack(*alerts) if self.groups else self._form(alerts[0], self._now())
        try:
            answer = self._client.post(
                self._url, json=body, headers={"Idempotency-Key": key(*alerts)}
            )
        except httpx.HTTPError as error:
            # Not the URL: it may hold a secret.
            raise RetryableError(f"the webhook is away: {type(error).__name__}") from None
        if answer.status_code in _REFUSED:
            raise RefusedError(f"the webhook answered {answer.status_code}")
        if not answer.is_success and answer.status_code != HTTPStatus.CONFLICT:
            raise RetryableError(f"the webhook answered {answer.status_code}")


class Mail:
    """Send mail by SMTP; `url` is smtp://[USER:PASSWORD@]HOST[:PORT]."""

    name = "mail"
    groups = True

    def __init__(self, url: str, sender: str, to: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise UserError("MILLRACE_ALERTS_SMTP_URL: smtp://[USER:PASSWORD@]HOST[:PORT]")
        try:
            port = parts.port or 0
        except ValueError:
            raise UserError("MILLRACE_ALERTS_SMTP_URL: its port is no port") from None
        if not to:
            raise UserError("MILLRACE_ALERTS_MAIL_TO: to whom alerts are mailed")
        self._parts, self._port, self._sender, self._to = parts, port, sender, to

    def send(self, *alerts: Document) -> None:
        """Send them; a word sent twice has the same Message-ID."""
        message = EmailMessage()
        message["From"], message["To"] = self._sender, self._to
        message["Subject"] = " ".join(heading(alerts).split())
        message["Message-ID"] = f"<{key(*alerts)}@millrace>"
        told = ["\n".join(f"{name}: {fact}" for name, fact in one.items()) for one in alerts]
        message.set_content("\n\n".join(told) + "\n")
        parts = self._parts
        try:
            with self._connected() as server:
                if parts.username:
                    if parts.scheme == "smtp":
                        server.starttls(context=ssl.create_default_context())
                    server.login(unquote(parts.username), unquote(parts.password or ""))
                server.send_message(message)
        except (smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused) as error:
            if _for_good(error):
                raise RefusedError(f"the mail is refused: {type(error).__name__}") from None
            raise RetryableError(f"mail cannot be sent: {type(error).__name__}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise RetryableError(f"mail cannot be sent: {type(error).__name__}") from None

    def _connected(self) -> smtplib.SMTP:
        host = self._parts.hostname or ""
        if self._parts.scheme == "smtp":
            return smtplib.SMTP(host, self._port, timeout=TIMEOUT_S)
        context = ssl.create_default_context()  # without it no certificate is checked
        return smtplib.SMTP_SSL(host, self._port, timeout=TIMEOUT_S, context=context)


def _for_good(error: smtplib.SMTPDataError | smtplib.SMTPRecipientsRefused) -> bool:
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= _PERMANENT
    return all(code >= _PERMANENT for code, _ in error.recipients.values())


class Log:
    """Write alerts to the process's own log."""

    name = "log"
    groups = False

    def send(self, *alerts: Document) -> None:
        """Log them."""
        for one in alerts:
            log.warning(
                "alert",
                alert_id=one["alert_id"],
                severity=one["severity"],
                state=one["state"],
                told=one["message"],
            )
