"""Alerts on their way to people: over channels that fail, and by real HTTP and SMTP."""

from __future__ import annotations

import json
import re
import smtplib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from config.errors import RetryableError, UserError
from config.settings import ROOT, Settings
from domain.alerts.acts import acknowledgement, silence
from domain.alerts.episodes import GRAVER, MOMENT, document
from domain.alerts.routing import RoutingError, parse
from ingestion.wire.codec import UnreadableError
from serving.alerts.channels import (
    Document,
    Mail,
    RefusedError,
    Webhook,
    alertmanager,
    heading,
    key,
    line,
    slack,
)
from serving.alerts.sender import IN_A_ROW, Sender, channels, routing
from serving.alerts.trial import tried
from serving.consumers.product import Incoming
from tests.unit.serving.test_alerts import MINUTE, told


class Fake:
    """Takes alerts, or fails as often as told."""

    def __init__(self, name: str = "fake") -> None:
        self.name, self.got = name, list[tuple[str, str]]()
        self.failures: list[Exception] = []
        self.groups = False
        self.messages: list[int] = []

    def send(self, *alerts: Document) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.got += [(alert["alert_id"], alert["state"]) for alert in alerts]
        self.messages.append(len(alerts))


def act(record: dict[str, Any], place: int = 1) -> Incoming:
    return Incoming(record, timestamp=1, offset=place, topic="alert-acts")


def test_silenced_alerts_and_reminders_of_acknowledged_ones_are_not_sent() -> None:
    fake, now = Fake(), [100]
    sender = Sender([fake], lambda: now[0])
    sender.restore_state(act(silence("quiet", "", now=1, until=200)))
    sender.handle([told("quiet/1", 1), told("loud/1", 1)])
    sender.handle([act(acknowledgement("loud/1", now=50))])
    sender.handle([told("loud/1", 2, "still_open"), told("loud/1", 3, "cleared")])
    now[0] = 200
    sender.handle([told("quiet/1", 4, "cleared")])
    assert fake.got == [("loud/1", "open"), ("loud/1", "cleared"), ("quiet/1", "cleared")]
    sender.clear_state()
    sender.handle([told("loud/1", 9, "still_open")])
    assert fake.got[-1] == ("loud/1", "still_open")


def test_an_older_act_read_again_changes_nothing_whatever_the_clocks_said() -> None:
    fake = Fake()
    sender = Sender([fake], lambda: 100)
    lifted = act(silence("s", "", now=10, until=10), 8)
    sender.handle([lifted, act(silence("s", "", now=20, until=900), 7), told("s/1", 1)])
    assert fake.got == [("s/1", "open")]


ROUTING = parse(
    {
        "group_by": ["product", "kind", "location"],
        "grace_s": 60,
        "inhibit": [
            {
                "source": {"kind": "SILENT", "entity": "gateway-*"},
                "target": {"kind": "SILENT"},
                "equal": ["location"],
            }
        ],
    }
)


def silent(name: str, minute: int, state: str = "open", location: str = "hall") -> Incoming:
    return told(f"{name}/silent", minute, state, kind="SILENT", location=location)


def test_a_silent_gateway_hides_its_sensors_silence_until_it_is_back_and_some_are_not() -> None:
    fake, now = Fake(), [0]
    sender = Sender([fake], lambda: now[0], routing=ROUTING)
    sender.handle([silent("early", 1), silent("gateway-1", 2), silent("a", 3), silent("b", 3)])
    sender.handle([silent("far", 3, location="yard"), silent("gateway-2", 3), told("a/hot", 3)])
    sender.handle([silent("a", 4, "cleared"), silent("early", 4, "cleared")])
    heard = [
        ("early/silent", "open"),
        ("gateway-1/silent", "open"),
        ("far/silent", "open"),
        ("gateway-2/silent", "open"),
        ("a/hot", "open"),
        ("early/silent", "cleared"),
    ]
    assert fake.got == heard
    sender.tick(0)
    sender.handle([silent("gateway-1", 5, "cleared"), silent("gateway-2", 5, "cleared")])
    heard += [("gateway-1/silent", "cleared"), ("gateway-2/silent", "cleared")]
    for moment in (1_000, 60_999):
        sender.tick(moment)
    assert fake.got == heard
    fake.failures = [RetryableError("away")]
    with pytest.raises(RetryableError):
        sender.tick(61_000)
    sender.tick(61_500)
    sender.tick(62_000)
    sender.handle([silent("b", 6, "cleared")])
    assert fake.got == [*heard, ("b/silent", "open"), ("b/silent", "cleared")]


@pytest.mark.parametrize("restarted", [False, True])
def test_whoever_heard_of_an_alert_hears_that_it_cleared(restarted: bool) -> None:
    fake = Fake()
    sender = Sender([fake], lambda: 0, routing=ROUTING)
    before = [silent("a", 1), silent("gateway-1", 2), silent("a", 3, "still_open")]
    if restarted:
        for row in before:
            sender.restore_state(row)
    else:
        sender.handle(before)
        assert fake.got == [("a/silent", "open"), ("gateway-1/silent", "open")]
    sender.handle([silent("a", 4, "cleared")])
    assert fake.got[-1] == ("a/silent", "cleared")
    sender.tick(0)
    sender.tick(99_000)
    assert fake.got[-1] == ("a/silent", "cleared")


def test_what_is_hidden_stays_so_over_a_restart_and_while_a_channel_is_away() -> None:
    fake = Fake()
    sender = Sender([fake], lambda: 0, routing=ROUTING)
    for row in (silent("gateway-1", 1), silent("a", 2), silent("b", 2)):
        sender.restore_state(row)
    fake.failures = [RetryableError("away")] * 2
    batch = [silent("a", 3, "cleared"), silent("gateway-1", 4, "cleared")]
    for _ in range(2):
        with pytest.raises(RetryableError):
            sender.handle(batch)
    sender.handle(batch)
    assert fake.got == [("gateway-1/silent", "cleared")]
    sender.tick(0)
    sender.tick(60_000)
    assert fake.got[1:] == [("b/silent", "open")]


def test_alerts_that_come_together_and_agree_are_one_message_to_people() -> None:
    people, machine = Fake("people"), Fake("machine")
    people.groups = True
    sender = Sender([people, machine], lambda: 0, routing=ROUTING)
    hot = [told(f"s{n}/1", 1, location="hall") for n in range(3)]
    batch = [*hot, told("far/1", 1, location="yard")]
    people.failures = [RetryableError("away")]
    with pytest.raises(RetryableError):
        sender.handle(batch)
    sender.handle(batch)
    assert (people.messages, machine.messages) == ([3, 1], [1, 1, 1, 1])
    assert sorted(people.got) == sorted(machine.got)
    documents = [document(one.record) for one in hot]
    assert heading(documents) == "[warning] 3 alerts: HIGH_TEMP in hall"
    assert slack(*documents)["text"].count("\n") == 3
    assert key(*documents) != key(documents[0])


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"group": []}, "unknown: group"),
        ({"group_by": ["entities"]}, "group_by: 'entities' is none of"),
        ({"inhibit": {}}, "inhibit: not a list"),
        ({"inhibit": [{"source": {"kind": "A"}}]}, r"inhibit\[0\].target: a mapping"),
        ({"inhibit": [{"source": {"kind": 1}, "target": {"kind": "A"}}]}, "1 is no text"),
        ({"inhibit": [{"source": {"name": "x"}}]}, "'name' is none of"),
        ({"grace_s": True}, "grace_s: True is no number"),
    ],
)
def test_a_mistake_in_what_is_grouped_and_hidden_is_told_with_its_place(
    declared: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RoutingError, match=words):
        parse(declared)
    file = tmp_path / "alerts.yaml"
    file.write_text(json.dumps(declared))
    with pytest.raises(UserError, match=re.escape(str(file))):
        routing(file)


def test_the_file_that_is_there_can_be_used() -> None:
    found = routing(ROOT / "config" / "alerts.yaml")
    assert found.group_by
    assert found.inhibit


def test_what_a_product_tells_once_more_is_not_sent_again_by_a_sender_that_began_anew() -> None:
    words = [told("a/1", 1), told("b/1", 2), told("a/1", 3, "cleared")]
    again = [*words, told("c/1", 4), words[1]]
    log = [one._replace(offset=place) for place, one in enumerate([*words, *again])]
    first, second = Fake(), Fake()
    Sender([first], lambda: 0).handle(log[:3])
    # It begins anew with the topic as it stands by then; the last record came too late for that.
    sender = Sender([second], lambda: 0)
    for row in log[:-1]:
        sender.restore_state(row)
    sender.handle(log[3:])
    assert first.got == [("a/1", "open"), ("b/1", "open"), ("a/1", "cleared")]
    assert second.got == [("c/1", "open")]


def test_what_was_told_before_a_kill_and_not_yet_handled_is_sent() -> None:
    log = [told("a/1", 1), told("a/1", 1)._replace(offset=1)]
    fake = Fake()
    sender = Sender([fake], lambda: 0)
    for row in log:
        sender.restore_state(row)
    sender.handle(log)
    assert fake.got == [("a/1", "open")]


def test_what_a_channel_could_not_take_is_sent_again_and_the_rest_is_not() -> None:
    away, well = Fake("away"), Fake("well")
    away.failures = [RetryableError("away"), RetryableError("away")]
    sender = Sender([away, well], lambda: 0)
    batch = [told("a/1", 1), told("b/1", 1)]
    for _ in range(2):
        with pytest.raises(RetryableError):
            sender.handle(batch)
    assert len(sender.handle(batch)) == 2
    assert away.got == [("a/1", "open"), ("b/1", "open")]
    assert well.got == away.got, "once each"


def test_an_alert_that_a_channel_never_takes_is_put_aside() -> None:
    picky, well = Fake("picky"), Fake("well")
    picky.failures = [RefusedError("no")]
    sender = Sender([picky, well], lambda: 0)
    with pytest.raises(UnreadableError):
        sender.handle([told("a/1", 1)])
    assert well.got == [("a/1", "open")]


def test_a_reminder_of_an_acknowledged_alert_that_became_graver_is_sent() -> None:
    fake = Fake()
    sender = Sender([fake], lambda: 100)
    sender.handle([act(acknowledgement("s/1", now=50))])
    graver = told("s/1", 2, "still_open", severity="critical", details={GRAVER: "warning"})
    sender.handle([told("s/1", 1, "still_open"), graver, told("s/1", 3, "still_open")])
    assert fake.got == [("s/1", "still_open")]


def test_a_broken_channel_keeps_no_alert_of_a_batch_from_the_others() -> None:
    broken, well = Fake("broken"), Fake("well")
    broken.failures = [RefusedError("no"), RetryableError("away")]
    sender = Sender([broken, well], lambda: 0)
    batch = [told("a/1", 1), told("b/1", 1), told("c/1", 1)]
    with pytest.raises(RetryableError):
        sender.handle(batch)
    assert [alert for alert, _ in well.got] == ["a/1", "b/1", "c/1"]
    with pytest.raises(UnreadableError):
        sender.handle(batch)
    assert [alert for alert, _ in broken.got] == ["b/1", "c/1"], "the refused one is not sent again"
    with pytest.raises(UnreadableError):
        sender.handle(batch[:1])
    assert len(sender.handle(batch[1:])) == 2, "the frame's way to put aside the one"


def test_a_channel_that_refuses_all_is_set_up_wrongly_and_the_alerts_wait() -> None:
    fake = Fake()
    sender = Sender([fake], lambda: 0)
    for place in range(IN_A_ROW - 1):
        fake.failures = [RefusedError("400")]
        with pytest.raises(UnreadableError):
            sender.handle([told(f"s/{place}", 1)])
    fake.failures = [RefusedError("400")] * 2
    for _ in range(2):
        with pytest.raises(RetryableError, match=r"fake refuses one alert after the other.*400"):
            sender.handle([told("s/x", 1)])
    sender.handle([told("s/x", 1)])
    assert fake.got == [("s/x", "open")]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (smtplib.SMTPDataError(554, b"no"), RefusedError),
        (smtplib.SMTPDataError(451, b"later"), RetryableError),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"unknown")}), RefusedError),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"no"), "b": (450, b"busy")}), RetryableError),
        (smtplib.SMTPAuthenticationError(535, b"no"), RetryableError),
    ],
)
def test_what_a_mail_server_says_for_good_is_a_refusal(
    failure: Exception, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtplib, "SMTP", MagicMock(side_effect=failure))
    with pytest.raises(raised):
        Mail("smtp://x", "a", "b").send(document(told("s/1", 1).record))
    with pytest.raises(UserError, match="port"):
        Mail("smtp://x:99999", "a", "b")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_the_certificate_of_a_mail_server_is_checked(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MagicMock()
    server.return_value.__enter__.return_value = server
    monkeypatch.setattr(smtplib, "SMTP" if scheme == "smtp" else "SMTP_SSL", server)
    Mail(f"{scheme}://u:p@x", "a", "b").send(document(told("s/1", 1).record))
    used = server.starttls if scheme == "smtp" else server
    context = used.call_args.kwargs["context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[index,misc]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_is_posted_to_and_only_its_consent_counts() -> None:
    got: list[tuple[str | None, Any]] = []
    answers = [503, 404, 422, 204, 409]

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Idempotency-Key"], json.loads(body)))
            self.send_response(answers[len(got) - 1])
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    alert = document(told("s/1", 1).record)
    with served(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        hook = Webhook(f"http://127.0.0.1:{port}/x", "slack")
        for error in (RetryableError, RetryableError, RefusedError):
            with pytest.raises(error):
                hook.send(alert)
        hook.send(alert)
        hook.send(alert)  # 409: it has it
    assert {said for said, _ in got} == {key(alert)}
    assert got[3][1] == {"text": "[warning] open: at 1"}
    with pytest.raises(RetryableError, match="ConnectError"):
        hook.send(alert)


def test_alertmanager_knows_an_alert_again_when_it_grows_graver_and_when_it_clears() -> None:
    (first,) = alertmanager(document(told("s/1", 1).record), 2 * MINUTE)
    last = told("s/1", 5, "cleared", severity="critical", opened_at=MINUTE)
    (cleared,) = alertmanager(document(last.record), 9 * MINUTE)
    assert first["labels"] == cleared["labels"]
    assert first["startsAt"] == cleared["startsAt"] == "1970-01-01T00:01:00.000Z"
    assert first["endsAt"] == "1970-01-08T00:02:00.000Z", "it would resolve it by itself"
    assert cleared["endsAt"] == "1970-01-01T00:05:00.000Z"


def test_mail_is_sent_by_smtp() -> None:
    got: list[str] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline().decode().strip().upper():
                if line == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        text += self.rfile.readline()
                    got.append(text.decode())
                self.wfile.write(b"221 bye\r\n" if line == "QUIT" else b"250 ok\r\n")
                if line == "QUIT":
                    return

    alert = document(told("s/1", 1).record)
    with served(socketserver.TCPServer(("127.0.0.1", 0), Smtp)) as port:
        mail = Mail(f"smtp://127.0.0.1:{port}", "m@example.org", "you@example.org")
        mail.send(alert)
    assert "Subject: [warning] open: at 1\r\n" in got[0]
    assert f"Message-ID: <{key(alert)}@millrace>\r\n" in got[0]
    assert "entity: s\r\n" in got[0]
    with pytest.raises(RetryableError):
        mail.send(alert)


def test_channels_are_those_that_are_set_up() -> None:
    bare = Settings(_env_file=None)  # type: ignore[call-arg]
    assert [one.name for one in channels(bare)] == ["log"]
    both = {"alerts_webhook_url": "http://x", "alerts_smtp_url": "smtp://x", "alerts_mail_to": "y"}
    full = Settings(_env_file=None, **both)  # type: ignore[call-arg,arg-type]
    assert [one.name for one in channels(full)] == ["log", "webhook", "mail"]
    with pytest.raises(UserError, match="SMTP_URL"):
        Mail("http://x", "a", "b")


def test_old_alerts_are_sent_only_while_they_are_open() -> None:
    fake = Fake()
    sender = Sender([fake], lambda: 1_000_123, age_ms=3_600)
    told_of = [
        told("gone/1", 1),
        told("open/1", 1),
        told("gone/1", 2, "cleared"),
        told("once/1", 2, "cleared", details={MOMENT: "true"}),
        told("heard/1", 2, "cleared"),
    ]
    for row in told_of:
        sender.restore_state(row)
    sender.handle(told_of)
    assert fake.got == [("open/1", "open"), ("heard/1", "cleared")]
    sender.handle([told("new/1", 3)._replace(timestamp=1_000_000)])
    assert fake.got[-1] == ("new/1", "open")


def test_an_alert_of_a_moment_is_sent_once_and_alertmanager_tells_of_it() -> None:
    once = document(told("s/1", 1, "cleared", details={MOMENT: "true"}).record)
    assert line(once) == "[warning] once: at 1"
    (body,) = alertmanager(once, 2 * MINUTE)
    assert body["endsAt"] == "1970-01-01T01:02:00.000Z"


def test_the_trial_says_of_each_channel_what_became_of_it() -> None:
    well, away, picky = Fake("well"), Fake("away"), Fake("picky")
    away.failures, picky.failures = [RetryableError("gone")], [RefusedError("400")]
    assert tried([well, away, picky], 7) == {"well": "sent", "away": "gone", "picky": "400"}
    assert well.got == [("test/7", "open"), ("test/7", "cleared")]
