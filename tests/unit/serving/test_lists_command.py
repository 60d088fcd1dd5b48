"""`millrace lists`, asking the real routes."""

from __future__ import annotations

import io
import json
from email.message import Message
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request

import anyio
import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from config.errors import UserError
from millrace.cli import lists
from millrace.stack import api, environ
from serving.api.app import create
from serving.api.context import Context
from serving.api.gateway import Gateway
from serving.fraud import listing
from serving.fraud.lists import KnownLists
from tests.unit.serving.api_parts import KEY, FakeGateway
from tests.unit.serving.test_fraud_lists import followed

runner = CliRunner()


class Stack:
    """The API with its lists; what is produced is followed at once."""

    def __init__(self, application: FastAPI, gateway: FakeGateway, known: KnownLists) -> None:
        self.application, self.gateway, self.known = application, gateway, known
        self.away = False

    async def asked(self, request: Request) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.application)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(
                request.get_method(),
                request.full_url,
                content=cast("bytes | None", request.data),
                headers=dict(request.header_items()),
            )

    def open(self, request: Request, timeout: float) -> Any:
        if self.away:
            raise URLError("nobody listens")
        answer = anyio.run(self.asked, request)
        if answer.status_code >= 400:
            body = io.BytesIO(answer.content)
            raise HTTPError(request.full_url, answer.status_code, "no", Message(), body)
        followed(self.gateway, self.known)
        return io.BytesIO(answer.content)


@pytest.fixture
def stack(context: Context, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> Stack:
    known = KnownLists()
    known.caught_up()
    context.parts[listing.PART] = listing.Listing(cast("Gateway", gateway), known)
    made = Stack(create(context, [listing]), gateway, known)
    monkeypatch.setattr(api, "urlopen", made.open)
    monkeypatch.setattr(environ, "api_keys", lambda _: KEY["X-API-Key"])
    return made


def told(*line: str) -> str:
    result = runner.invoke(lists.app, line)
    assert result.exit_code == 0, result.exception
    return result.stdout


def refused(*line: str) -> str:
    result = runner.invoke(lists.app, line)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def test_an_entity_is_added_shown_and_removed(stack: Stack) -> None:
    line = ("blocked", "terminal", "t/3 [x]", "--until", "2126-05-01", "--by", "ada")
    assert told("add", *line, "--note", "skimmed") == (
        "terminal t/3 [x] is blocked until 2126-05-01T00:00:00.000Z\n"
    )
    assert told("add", "blocked", "terminal", "t4").endswith("is blocked for good\n")
    found = json.loads(told("show", "blocked", "terminal", "--json"))
    assert [(one["id"], one["until"]) for one in found] == [
        ("t/3 [x]", "2126-05-01T00:00:00.000Z"),
        ("t4", None),
    ]
    assert (found[0]["by"], found[0]["note"]) == ("ada", "skimmed")
    assert found[1]["by"], "the user who typed it"
    shown = told("show", "blocked", "terminal")
    assert "t/3 [x]" in shown
    assert shown.endswith("2 terminals are blocked\n")
    assert told("show", "trusted", "terminal") == "0 terminals are trusted\n"
    assert told("remove", "blocked", "terminal", "t/3 [x]") == "terminal t/3 [x] is not blocked\n"
    (left,) = json.loads(told("show", "blocked", "terminal", "--json"))
    assert left["id"] == "t4"
    told("remove", "blocked", "terminal", "t/3 [x]", "--json")


def test_a_long_list_is_read_by_pages(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE", 3)
    for number in range(8):
        made = json.loads(told("add", "trusted", "customer", f"c{number}", "--json"))
        assert made["list"] == "trusted"
    found = json.loads(told("show", "trusted", "customer", "--json"))
    assert [one["id"] for one in found] == [f"c{number}" for number in range(8)]


def test_what_is_wrong_is_told_in_a_line(stack: Stack) -> None:
    assert refused("show", "hated", "customer") == "LIST is blocked or trusted, not 'hated'"
    assert refused("add", "blocked", "shop", "x") == "KIND is customer or terminal, not 'shop'"
    line = ("add", "blocked", "terminal", "t3", "--until")
    assert refused(*line, "2001-01-01").startswith("the API refused: body.until: not after now")
    assert refused(*line, "soon").startswith("--until: ")
    stack.away = True
    assert "is the stack up?" in refused("show", "blocked", "customer")
