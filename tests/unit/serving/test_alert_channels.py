"""Alerts through servers that others wrote: aiosmtpd takes mail, Debian's Alertmanager alerts."""

from __future__ import annotations

import email
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from email import policy
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.errors import RetryableError
from domain.alerts.episodes import MOMENT, document
from serving.alerts.channels import Mail, RefusedError, Webhook, key
from serving.alerts.trial import tried
from tests.unit.serving.test_alerts import MINUTE, told

ALERTMANAGER = shutil.which("prometheus-alertmanager")
pytestmark = pytest.mark.slow


class Inbox:
    """Takes mail, but of recipients that say what to answer."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        if to.startswith(("4", "5")):
            return f"{to[:3]} no"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.got.append(envelope)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_mail_server_gets_one_mail_for_a_group_and_says_what_it_does_not_take() -> None:
    inbox, port = Inbox(), free_port()
    alerts = [document(told(f"s{n}/1", 1, location="hall").record) for n in range(2)]
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        url = f"smtp://127.0.0.1:{port}"
        mail = Mail(url, "m@example.org", "you@example.org")
        mail.send(*alerts)
        assert tried([mail], 5) == {"mail": "sent"}
        with pytest.raises(RefusedError):
            Mail(url, "m@example.org", "550@example.org").send(alerts[0])
        with pytest.raises(RetryableError):
            Mail(url, "m@example.org", "451@example.org").send(alerts[0])
    finally:
        server.stop()
    first, opened, cleared = inbox.got
    assert (first.mail_from, first.rcpt_tos) == ("m@example.org", ["you@example.org"])
    content = first.original_content
    assert content is not None
    parsed = email.message_from_bytes(content, policy=policy.default)
    assert parsed["Subject"] == "[warning] 2 alerts: HIGH_TEMP in hall"
    assert parsed["Message-ID"] == f"<{key(*alerts)}@millrace>"
    text = parsed.get_content()
    assert text.count("kind: HIGH_TEMP") == 2
    assert "alert_id: s1/1" in text
    assert opened.original_content != cleared.original_content
    with pytest.raises(RetryableError):
        mail.send(alerts[0])


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """The URL of a real Alertmanager."""
    if ALERTMANAGER is None:
        pytest.skip("Alertmanager is not installed: apt-get install prometheus-alertmanager")
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    url = f"http://127.0.0.1:{free_port()}"
    address = url.removeprefix("http://")
    line = [ALERTMANAGER, f"--config.file={config}", f"--storage.path={tmp_path / 'data'}"]
    line += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ})
        try:
            for _ in range(300):
                try:
                    if httpx.get(f"{url}/-/ready").is_success:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def test_alertmanager_holds_an_alert_until_it_clears_and_knows_it_by_its_labels(
    alertmanager: str,
) -> None:
    now = time.time_ns() // 1_000_000

    def held() -> list[dict[str, Any]]:
        answer = httpx.get(f"{alertmanager}/api/v2/alerts").raise_for_status()
        return sorted(answer.json(), key=lambda one: str(one["labels"]["alert_id"]))

    def minute(back: int) -> int:
        return now // MINUTE - back

    hook = Webhook(f"{alertmanager}/api/v2/alerts", "alertmanager")
    first = told("s/1", minute(9), opened_at=minute(9) * MINUTE)
    graver = told("s/1", minute(5), "still_open", severity="critical", opened_at=minute(9) * MINUTE)
    moment = told("p/1", minute(2), "cleared", details={MOMENT: "true"})
    for row in (first, graver, graver, moment):
        hook.send(document(row.record))
    payment, hot = held()
    assert hot["labels"]["alertname"] == "HIGH_TEMP"
    assert hot["labels"]["entity"] == "s"
    assert hot["annotations"]["severity"] == "critical", "the same alert, graver"
    assert hot["status"]["state"] == "active"
    assert payment["labels"]["alert_id"] == "p/1"
    cleared = told("s/1", minute(1), "cleared", opened_at=minute(9) * MINUTE)
    hook.send(document(cleared.record))
    assert [one["labels"]["alert_id"] for one in held()] == ["p/1"]
    assert tried([hook], now) == {"webhook": "sent"}
    with pytest.raises(RefusedError):
        hook.send({**document(cleared.record), "event_time": "1970-01-01T00:00:00.000Z"})
    hook._client.close()
