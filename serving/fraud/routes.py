"""Serve `/v1/fraud`: decisions on payments."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from domain.times import document_of, iso, since_epoch
from serving.api.context import Context, of
from serving.api.gateway import Gateway
from serving.api.lean import LeanRoute
from serving.api.problems import Problem, described, exemplified
from serving.api.refusals import refusals
from serving.fraud import keys
from serving.fraud.sent import Sent
from serving.fraud.types import Customer, Pending, Score, Transaction

Route = TypeVar("Route", bound=Callable[..., Awaitable[Response]])

AHEAD_MS = 5 * 60 * 1000
REMEMBERED = 50_000

# A client's possible next requests, in OpenAPI's terms, for programs that follow links.
LOOK_UP, LOOK_UP_CUSTOMER = "get_decision", "get_customer"
LINKS: dict[str, Any] = {
    "decision": {
        "operationId": LOOK_UP,
        "parameters": {"transaction_id": "$response.body#/transaction_id"},
        "description": "The decision on this payment.",
    },
    "customer": {
        "operationId": LOOK_UP_CUSTOMER,
        "parameters": {"customer_id": "$request.body#/customer_id"},
        "description": "The latest decisions on this customer's payments.",
    },
}

lookups = APIRouter(prefix="/v1/fraud", tags=["fraud"], route_class=LeanRoute)
payments = APIRouter(prefix="/v1/fraud", tags=["fraud"])
routers = (lookups, payments)


@dataclass(frozen=True, slots=True)
class _Sent(Sent):
    event_time: int


class Submissions:
    """Payments that this process produced recently.

    A repeated request waits for the first one instead of producing again.

    An event whose delivery failed may have arrived all the same, so its repetition is the same
    event to the byte: rolling features recognise what they have counted by id and time.
    """

    def __init__(self, gateway: Gateway, size: int = REMEMBERED) -> None:
        self.gateway, self._size = gateway, size
        self._sent: OrderedDict[str, _Sent] = OrderedDict()

    def submit(self, payment: Transaction, now: int) -> asyncio.Future[None]:
        """Return the confirmation of the payment, produced now unless it was before.

        `now` is in ms. Raise AwayError, RefusedError, and Problem for a time in the future or
        another payment's id.
        """
        before = self._sent.get(payment.transaction_id)
        event_time = _event_time(payment)
        if event_time is None:
            event_time = now if before is None else before.event_time
        # It would push the customer's real payments out of their windows.
        elif event_time > now + AHEAD_MS:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "event_time lies more than 5 minutes in the future"
            )
        value = self.gateway.encode({**payment.model_dump(), "event_time": event_time})
        if before is not None and before.value != value:
            raise Problem(HTTPStatus.CONFLICT, _taken_by_another(payment.transaction_id))
        if before is not None and not before.failed():
            return before.confirmed
        confirmed = self.gateway.produce(payment.customer_id, value)
        self._sent[payment.transaction_id] = _Sent(value, confirmed, event_time)
        if len(self._sent) > self._size:
            self._sent.popitem(last=False)
        return confirmed


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Run the gateway between payments and their scores."""
    gateway = Gateway(
        context.settings.kafka_bootstrap,
        context.codec,
        "transactions",
        "fraud-scores",
        also=("FraudLabel",),
    )

    def check(name: str) -> Any:
        async def ask() -> str | None:
            return gateway.trouble.get(name)

        return ask

    context.checks.update({name: check(name) for name in gateway.PARTS})
    context.parts["fraud"] = Submissions(gateway)
    async with gateway:
        yield


def _event_time(payment: Transaction) -> int | None:
    return None if payment.event_time is None else since_epoch(payment.event_time)


def _taken_by_another(transaction_id: str) -> str:
    return (
        f"transaction {transaction_id} is another payment (customer, terminal, amount or time); "
        "ids are never reused"
    )


def _own(payment: Transaction, document: dict[str, Any]) -> None:
    """Raise Problem unless the decision is on this payment: a payment's decision is its own."""
    asked: dict[str, Any] = {
        name: getattr(payment, name) for name in ("customer_id", "terminal_id", "amount")
    }
    event_time = _event_time(payment)
    if event_time is not None:
        asked["event_time"] = iso(event_time)
    if not asked.items() <= document.items():
        raise Problem(HTTPStatus.CONFLICT, _taken_by_another(payment.transaction_id))


def _look_up(
    path: str, operation_id: str, summary: str, model: type[BaseModel]
) -> Callable[[Route], Route]:
    """Return the decorator of a route that reads what is stored under an id."""
    return lookups.get(
        path,
        operation_id=operation_id,
        summary=summary,
        response_model=model,
        responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )


def _known(data: bytes | None, what: str) -> bytes:
    """Return what is stored. Raise Problem if nothing is."""
    if data is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of {what}")
    return data


@_look_up("/transactions/{transaction_id:rest}", LOOK_UP, "The decision on a payment", Score)
async def transaction(
    request: Request,
    transaction_id: Annotated[str, Path(description="as it was sent", examples=["tx-42"])],
) -> Response:
    """Return the decision on this payment, which is final: repeating it changes nothing."""
    data = await of(request).values.get(keys.transaction(transaction_id))
    return Response(_known(data, f"transaction {transaction_id}"), media_type="application/json")


@_look_up(
    "/customers/{customer_id:rest}",
    LOOK_UP_CUSTOMER,
    "A customer's latest and recent decisions",
    Customer,
)
async def customer(
    request: Request,
    customer_id: Annotated[str, Path(description="as in the payments", examples=["c-7"])],
) -> Response:
    """Return the latest decision by event time, and the newest 50, newest first."""
    values = of(request).values
    latest, recent = await asyncio.gather(
        values.get(keys.latest(customer_id)),
        values.newest(keys.recent(customer_id), keys.RECENT),
    )
    body = b'{"customer_id":%b,"latest":%b,"recent":[%b]}' % (
        orjson.dumps(customer_id),
        _known(latest, f"customer {customer_id}"),
        b",".join(recent),
    )
    return Response(body, media_type="application/json")


@payments.post(
    "/transactions",
    summary="May this payment pass?",
    response_model=Score,
    responses={
        HTTPStatus.OK: {"links": LINKS},
        HTTPStatus.ACCEPTED: {
            "model": Pending,
            "links": LINKS,
            "description": "Taken, not decided within the deadline",
        },
        **exemplified(HTTPStatus.CONFLICT, _taken_by_another("tx-42"), "/v1/fraud/transactions"),
        **described(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def decide(
    request: Request,
    payment: Transaction,
    deadline_ms: Annotated[
        int | None,
        Query(
            ge=1,
            le=30_000,
            description="milliseconds to wait for the decision; "
            "MILLRACE_SCORE_DEADLINE_MS (1000) if absent",
        ),
    ] = None,
) -> Response:
    """Send the payment through the pipeline and wait for its score.

    The answer is the score, or 202 and a link once the deadline has passed.

    503 means that the payment was not taken, or that it is not known whether it was: repeat the
    request. With `event_time` that is always safe, since the same payment at the same time counts
    once. Without, it is safe with the API process that took the request first, as long as that
    remembers it (until a restart, or 50,000 payments later), and with any once the decision is
    stored; before that, another process sends a second event at its own time: the first decision
    stays, but both count in the customer's and the terminal's history.
    """
    context = of(request)
    submissions: Submissions = context.parts["fraud"]
    seconds = (deadline_ms or context.settings.score_deadline_ms) / 1000
    until = asyncio.get_running_loop().time() + seconds
    key = payment.transaction_id.encode()
    # Before producing: the score could arrive between the two steps.
    answer = submissions.gateway.expect(key)
    try:
        stored = await context.values.get(keys.transaction(payment.transaction_id))
        if stored is not None:
            _own(payment, orjson.loads(stored))
            return Response(stored, media_type="application/json")
        sent = _taken(submissions, payment)
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait({answer}, timeout=max(0.0, left))
    finally:
        submissions.gateway.forget(key, answer)
    if answer.done():
        document = document_of(answer.result(), keys.TIMES)
        # Another process may have accepted another payment under this id first.
        _own(payment, document)
        return Response(orjson.dumps(document), media_type="application/json")
    return _pending(payment.transaction_id, sent)


def _taken(submissions: Submissions, payment: Transaction) -> asyncio.Future[None]:
    with refusals():
        return submissions.submit(payment, int(time.time() * 1000))


def _pending(transaction_id: str, sent: asyncio.Future[None]) -> Response:
    trouble = sent.exception() if sent.done() else "not within the deadline"
    if trouble is not None:
        detail = (
            f"the broker has not confirmed the payment ({trouble}), which may have arrived: "
            "repeat the request"
        )
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
    location = f"/v1/fraud/transactions/{quote(transaction_id, safe='')}"
    body = {"transaction_id": transaction_id, "status": "pending", "location": location}
    headers = {"Location": location, "Retry-After": "1"}
    return Response(
        orjson.dumps(body), HTTPStatus.ACCEPTED, headers=headers, media_type="application/json"
    )
