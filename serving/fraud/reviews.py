"""Serve what an analyst works with: the queue, a payment's case, a customer's history, verdicts.

A verdict is an event: it goes into the log of the payments, where the jobs and the lake learn of
it. The consumer `fraud-verdicts` keeps it for the look-ups here.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from config.clock import now_ms
from domain.fraud.features import FRAUD
from domain.fraud.words import words
from domain.times import iso, milliseconds
from serving.api.context import Values, of
from serving.api.gateway import Gateway
from serving.api.lean import LeanRoute
from serving.api.problems import Problem, described
from serving.api.refusals import refusals
from serving.fraud import keys
from serving.fraud.sent import Sent
from serving.fraud.types import Case, History, Judgement, Reviews, Verdict

VERDICT = "FraudLabel"
REMEMBERED = 50_000
AT_ONCE = 500
WORDS = words(FRAUD)
MOST = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 50}}

lookups = APIRouter(prefix="/v1/fraud", tags=["fraud"], route_class=LeanRoute)
router = APIRouter(prefix="/v1/fraud", tags=["fraud"])
routers = (lookups, router)
AWAY = described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class _Given(Sent):
    document: dict[str, Any]


class Verdicts:
    """Verdicts that this process produced lately: they count before they are stored.

    One whose delivery failed may have arrived, so its repetition is the same event to the byte.
    """

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._given: OrderedDict[str, _Given] = OrderedDict()

    def of(self, name: str) -> _Given | None:
        """Return the verdict given on a payment, None if there is none."""
        return self._given.get(name)

    def newest(self, name: str, stored: bytes | None) -> dict[str, Any] | None:
        """Return the verdict that counts: the stored one, or a later one on its way."""
        known: dict[str, Any] | None = None if stored is None else orjson.loads(stored)
        given = self._given.get(name)
        if given is None or given.failed():
            return known
        if known is not None and known["known_at"] >= given.document["known_at"]:
            return known
        return given.document

    def add(self, name: str, given: _Given) -> None:
        """Remember a verdict on a payment."""
        self._given[name] = given
        self._given.move_to_end(name)
        if len(self._given) > self._size:
            self._given.popitem(last=False)


def _verdicts(request: Request) -> Verdicts:
    parts = of(request).parts
    if "fraud-verdicts" not in parts:
        parts["fraud-verdicts"] = Verdicts()
    found: Verdicts = parts["fraud-verdicts"]
    return found


@router.get(
    "/reviews",
    summary="Payments to review",
    response_model=Reviews,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def reviews(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=AT_ONCE, description="how many")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=1000, description="`next` of the page before")
    ] = None,
) -> Response:
    """Return payments that wait for a person's verdict, newest first.

    `next` leads to older ones; it is null on the last page. The queue holds the newest 10,000.
    """
    values, verdicts = of(request).values, _verdicts(request)
    after = None if cursor is None else _place(cursor)
    found: list[bytes] = []
    more = True
    while more and len(found) < limit:
        page = await values.page(keys.REVIEWS, AT_ONCE, after)
        more = len(page) == AT_ONCE
        names = [member.decode() for member, _ in page]
        decisions, judged = await _looked_up(values, names)
        for place, (name, decision) in enumerate(zip(names, decisions, strict=True)):
            after = (page[place][1], page[place][0])
            if decision is None or verdicts.newest(name, judged[place]) is not None:
                continue
            # Of a payment that came again under another model, the first decision stayed.
            if orjson.loads(decision)["decision"] == "review":
                found.append(decision)
            if len(found) == limit:
                more = more or place + 1 < len(page)
                break
    told = orjson.dumps(_cursor(after) if more and after else None)
    body = b'{"reviews":[%b],"next":%b}' % (b",".join(found), told)
    return Response(body, media_type="application/json")


async def _looked_up(
    values: Values, names: list[str]
) -> tuple[list[bytes | None], list[bytes | None]]:
    """Return the decisions and the verdicts on payments."""
    if not names:
        return [], []
    wanted = [key(name) for key in (keys.transaction, keys.verdict) for name in names]
    found = await values.get_many(wanted)
    return found[: len(names)], found[len(names) :]


def _cursor(after: tuple[int, bytes]) -> str:
    return base64.urlsafe_b64encode(b"%d:%b" % after).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, bytes]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        when, _, member = text.partition(b":")
        return int(when), member
    except (ValueError, binascii.Error) as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "cursor is not the `next` of a page"
        ) from error


@lookups.get(
    "/reviews/{transaction_id:rest}",
    summary="A payment's case: its decision, features and verdict",
    response_model=Case,
    responses=AWAY,
)
async def case(
    request: Request, transaction_id: Annotated[str, Path(description="as it was sent")]
) -> Response:
    """Return what is known of a payment. Features are kept of those that were not approved."""
    values = of(request).values
    decision, features, judged = await values.get_many(
        [key(transaction_id) for key in (keys.transaction, keys.case, keys.verdict)]
    )
    if decision is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of transaction {transaction_id}")
    known = {} if features is None else orjson.loads(features)
    told = [
        {"name": name, "value": value, "text": WORDS.sentence(name, value)}
        for name, value in known.items()
    ]
    body = {
        "payment": orjson.loads(decision),
        "verdict": _verdicts(request).newest(transaction_id, judged),
        "features": told,
    }
    return Response(orjson.dumps(body), media_type="application/json")


@lookups.get(
    "/customers/{customer_id:rest}/payments",
    summary="A customer's recent payments, with verdicts",
    response_model=History,
    responses={**AWAY, **described(HTTPStatus.UNPROCESSABLE_ENTITY)},
    openapi_extra={"parameters": [MOST]},
)
async def payments(
    request: Request, customer_id: Annotated[str, Path(description="as in the payments")]
) -> Response:
    """Return the customer's newest payments, newest first, at most 50."""
    values, verdicts = of(request).values, _verdicts(request)
    recent = await values.newest(keys.recent(customer_id), _limit(request))
    if not recent:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of customer {customer_id}")
    documents = [orjson.loads(data) for data in recent]
    names = [str(one["transaction_id"]) for one in documents]
    judged = await values.get_many([keys.verdict(name) for name in names])
    told = [
        {**one, "verdict": verdicts.newest(name, stored)}
        for one, name, stored in zip(documents, names, judged, strict=True)
    ]
    body = {"customer_id": customer_id, "payments": told}
    return Response(orjson.dumps(body), media_type="application/json")


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(keys.RECENT))
    if not text.isdecimal() or not 1 <= int(text) <= keys.RECENT:
        detail = f"query.limit: a whole number from 1 to {keys.RECENT}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return int(text)


@router.post(
    "/transactions/{transaction_id:rest}/verdict",
    summary="Was this payment fraud?",
    response_model=Verdict,
    responses={
        HTTPStatus.ACCEPTED: {"model": Verdict, "description": "Kafka has the verdict"},
        HTTPStatus.OK: {"description": "The verdict was known already"},
        **described(
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def judge(
    request: Request,
    transaction_id: Annotated[str, Path(description="as it was sent")],
    said: Annotated[Judgement, Body()],
) -> Response:
    """Put a person's verdict into the log of the payments: features and training learn of it.

    Repeating it changes nothing. The opposite of the known verdict is refused (409) without
    `revise`; with it, it is a second verdict, and the later one counts from then on. After 503
    repeat the request.
    """
    context, verdicts = of(request), _verdicts(request)
    decision, stored = await context.values.get_many(
        [keys.transaction(transaction_id), keys.verdict(transaction_id)]
    )
    if decision is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of transaction {transaction_id}")
    known = verdicts.newest(transaction_id, stored)
    if known is not None and known["fraud"] == said.fraud:
        # It may be on its way still, and may fail there.
        given = verdicts.of(transaction_id)
        if given is not None and given.document == known:
            with refusals():
                await given.confirmed
        return _answer(transaction_id, known, HTTPStatus.OK)
    if known is not None and not said.revise:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"the verdict on transaction {transaction_id} is "
            f"{'fraud' if known['fraud'] else 'no fraud'}: send revise to change it",
        )
    gateway: Gateway = context.parts["fraud"].gateway
    with refusals():
        given = _given(gateway, orjson.loads(decision), said, known, verdicts.of(transaction_id))
        verdicts.add(transaction_id, given)
        await given.confirmed
    return _answer(transaction_id, given.document, HTTPStatus.ACCEPTED)


def _given(
    gateway: Gateway,
    payment: dict[str, Any],
    said: Judgement,
    known: dict[str, Any] | None,
    failed: _Given | None,
) -> _Given:
    """Produce the verdict: again the one that failed, if it said the same."""
    if failed is not None and failed.failed() and failed.document["fraud"] == said.fraud:
        document, value = failed.document, failed.value
    else:
        # Later than the verdict that it revises, whatever this machine's clock says.
        least = 0 if known is None else milliseconds(known["known_at"]) + 1
        at = max(now_ms(), least)
        document = {"fraud": said.fraud, "note": said.note, "known_at": iso(at)}
        record = {
            **{name: payment[name] for name in ("transaction_id", "customer_id", "terminal_id")},
            "event_time": at,
            "is_fraud": said.fraud,
            "note": said.note,
        }
        value = gateway.encode(record, VERDICT)
    return _Given(value, gateway.produce(payment["customer_id"], value), document)


def _answer(transaction_id: str, document: dict[str, Any], status: HTTPStatus) -> Response:
    body = {"transaction_id": transaction_id, **document}
    return Response(orjson.dumps(body), status, media_type="application/json")
