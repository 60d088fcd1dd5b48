"""Serve the lists of blocked and trusted customers and terminals: `/v1/fraud/lists`.

A change is a record on the compacted topic `fraud-lists`, which scorers and API processes follow.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from config.clock import now_ms
from domain.events import FraudEntity, FraudList
from domain.fraud.lists import Entry, entry_id
from domain.times import iso, since_epoch
from serving.api.context import Context, of
from serving.api.gateway import Gateway
from serving.api.problems import Problem, described
from serving.api.refusals import refusals
from serving.fraud.lists import TOPIC, KnownLists, follow
from serving.fraud.types import Identifier, in_calendar

PART = "fraud-lists"
AT_ONCE = 1000

router = APIRouter(prefix="/v1/fraud/lists", tags=["fraud"])
routers = (router,)

List = Annotated[FraudList, Path(alias="list", description="the list")]
Kind = Annotated[FraudEntity, Path(description="the kind of entity")]
Entity = Annotated[str, Path(alias="id", description="the customer or terminal", max_length=200)]
REFUSED = described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
EXAMPLE: dict[str, Any] = {
    "list": "blocked",
    "kind": "terminal",
    "id": "t-3",
    "since": "2026-05-01T12:00:00.000Z",
    "until": "2026-06-01T00:00:00.000Z",
    "by": "ada",
    "note": "skimming device found",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What the routes need: where changes go, and the lists as far as they are known here."""

    gateway: Gateway
    known: KnownLists


class NewEntry(BaseModel):
    """An entity to put on a list."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {name: EXAMPLE[name] for name in ("id", "until", "by", "note")}
        },
    )

    id: Identifier = Field(description="the customer or terminal")
    until: Annotated[AwareDatetime, AfterValidator(in_calendar)] | None = Field(
        None, description="when it leaves the list by itself, with its zone; never if absent"
    )
    by: str = Field("", max_length=200, description="who puts it there")
    note: str = Field("", max_length=1000, description="why, for whoever looks next")


class ListEntry(BaseModel):
    """An entity on a list."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    list: str
    kind: str
    id: str
    since: str
    until: str | None
    by: str
    note: str


class Entries(BaseModel):
    """A page of a list."""

    model_config = ConfigDict(json_schema_extra={"example": {"entries": [EXAMPLE], "next": None}})

    entries: list[ListEntry]
    next: str | None = Field(description="`after` of the next page, null on the last")


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Run the producer of changes and follow the lists."""
    known, stop = KnownLists(), threading.Event()
    gateway = Gateway(context.settings.kafka_bootstrap, context.codec, TOPIC)

    async def trouble() -> str | None:
        return known.trouble

    context.checks[PART] = trouble
    context.parts[PART] = Listing(gateway, known)
    thread = follow(known, context.settings, stop)
    async with gateway:
        try:
            yield
        finally:
            stop.set()
            await asyncio.to_thread(thread.join)


def _listing(request: Request) -> Listing:
    """Return the lists. Raise Problem while they have not been read."""
    found: Listing = of(request).parts[PART]
    if (missing := found.known.missing()) is not None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, missing, {"Retry-After": "1"})
    return found


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "list": entry.list,
        "kind": entry.kind,
        "id": entry.id,
        "since": iso(entry.since),
        "until": None if entry.until is None else iso(entry.until),
        "by": entry.by,
        "note": entry.note,
    }


def _json(body: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


@router.get("/{list}/{kind}", summary="Who is on a list", response_model=Entries, responses=REFUSED)
async def entries(
    request: Request,
    name: List,
    kind: Kind,
    after: Annotated[str, Query(max_length=200, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=AT_ONCE, description="how many")] = 100,
) -> Response:
    """Return the entries that have not expired, in the order of their ids."""
    known = _listing(request).known
    later = (one for one in known.on(name, kind, now_ms()) if one.id > after)
    page = list(islice(later, limit + 1))
    following = page[limit - 1].id if len(page) > limit else None
    return _json({"entries": [_document(one) for one in page[:limit]], "next": following})


@router.get(
    "/{list}/{kind}/{id:rest}",
    summary="Is this entity on the list?",
    response_model=ListEntry,
    responses={**described(HTTPStatus.NOT_FOUND), **REFUSED},
)
async def entry(request: Request, name: List, kind: Kind, entity: Entity) -> Response:
    """Return the entry, if it has not expired."""
    found = _listing(request).known.get(name, kind, entity, now_ms())
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"{kind} {entity} is not on the list {name}")
    return _json(_document(found))


@router.post(
    "/{list}/{kind}",
    summary="Put an entity on a list",
    status_code=HTTPStatus.ACCEPTED,
    response_model=ListEntry,
    responses={HTTPStatus.OK: {"description": "It is on the list like that already"}, **REFUSED},
)
async def put(
    request: Request, name: List, kind: Kind, said: Annotated[NewEntry, Body()]
) -> Response:
    """Answer 202 once Kafka has the entry; scorers know it within a second.

    It replaces one of the same entity. Repeating it changes nothing (200).
    """
    listing, now = _listing(request), now_ms()
    until = None if said.until is None else since_epoch(said.until)
    if until is not None and until <= now:
        at = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds")
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"body.until: not after now, {at}")
    known = listing.known.get(name, kind, said.id, now)
    if known is not None and (known.until, known.by, known.note) == (until, said.by, said.note):
        return _json(_document(known))
    made = Entry(name, kind, said.id, now, until, said.by, said.note)
    with refusals():
        await listing.gateway.produce(made.entry_id, listing.gateway.encode(made.record()))
    return _json(_document(made), HTTPStatus.ACCEPTED)


@router.delete(
    "/{list}/{kind}/{id:rest}",
    summary="Take an entity off a list",
    status_code=HTTPStatus.NO_CONTENT,
    responses=REFUSED,
)
async def remove(request: Request, name: List, kind: Kind, entity: Entity) -> Response:
    """Answer 204 once Kafka has it, also if the entity was not on the list."""
    with refusals():
        await _listing(request).gateway.produce(entry_id(name, kind, entity), None)
    return Response(status_code=HTTPStatus.NO_CONTENT)
