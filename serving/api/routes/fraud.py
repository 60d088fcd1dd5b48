"""`/v1/fraud`: decisions on payments."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from ingestion.avro import RefusedError
from serving.api.context import Context, of
from serving.api.lean import LeanRoute
from serving.api.problems import Problem, described
from serving.api.routes.fraud_types import Customer, Pending, Score, Transaction
from serving.api.scores import AwayError, Gateway
from serving.times import document_of, milliseconds

RECENT = 50
AHEAD_MS = 5 * 60 * 1000
REMEMBERED = 50_000
TIMES = ("event_time", "produced_at", "features_at", "scored_at")

lookups = APIRouter(prefix="/v1/fraud", tags=["fraud"], route_class=LeanRoute)
payments = APIRouter(prefix="/v1/fraud", tags=["fraud"])
routers = (lookups, payments)


class Submissions:
    """Payments that this process produced lately: a repetition waits for the first one instead of producing again."""

    def __init__(self, gateway: Gateway, size: int = REMEMBERED) -> None:
        self.gateway, self._size = gateway, size
        self._sent: OrderedDict[str, asyncio.Future[None]] = OrderedDict()

    def submit(self, payment: Transaction, now: int) -> asyncio.Future[None]:
        """The confirmation of the payment, produced now unless it was before. Raises `AwayError`, RefusedError."""
        sent = self._sent.get(payment.transaction_id)
        if sent is not None and not (sent.done() and sent.exception() is not None):
            return sent
        record = payment.model_dump()
        record["event_time"] = now if payment.event_time is None else milliseconds(payment.event_time.isoformat())
        if record["event_time"] > now + AHEAD_MS:  # it would push the customer's real payments out of their windows
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "event_time lies more than 5 minutes in the future")
        sent = self.gateway.produce(payment.customer_id, self.gateway.encode(record))
        self._sent[payment.transaction_id] = sent
        if len(self._sent) > self._size:
            self._sent.popitem(last=False)
        return sent


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """The gateway between payments and their scores."""
    gateway = Gateway(context.settings.kafka_bootstrap, context.codec, "transactions", "fraud-scores")

    def check(name: str) -> Any:
        async def ask() -> str | None:
            return gateway.trouble.get(name)

        return ask

    context.checks.update({name: check(name) for name in ("kafka", "registry")})
    context.parts["fraud"] = Submissions(gateway)
    gateway.start()
    try:
        yield
    finally:
        await gateway.close()


def _key(transaction_id: str) -> str:
    return f"fraud:tx:{transaction_id}"


@lookups.get(
    "/transactions/{transaction_id}",
    summary="The decision on a payment",
    response_model=Score,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def transaction(
    request: Request, transaction_id: Annotated[str, Path(description="as it was sent", examples=["tx-42"])]
) -> Response:
    """The first and only decision on this payment: rescoring or repeating it changes nothing."""
    data = await of(request).values.get(_key(transaction_id))
    if data is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of transaction {transaction_id}")
    return Response(data, media_type="application/json")


@lookups.get(
    "/customers/{customer_id}",
    summary="A customer's latest and recent decisions",
    response_model=Customer,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def customer(
    request: Request, customer_id: Annotated[str, Path(description="as in the payments", examples=["c-7"])]
) -> Response:
    """`latest` by event time, `recent`: the newest 50, newest first."""
    values = of(request).values
    latest, recent = await asyncio.gather(
        values.get(f"fraud:customer:{customer_id}"), values.newest(f"fraud:recent:{customer_id}", RECENT)
    )
    if latest is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of customer {customer_id}")
    body = b'{"customer_id":%b,"latest":%b,"recent":[%b]}' % (orjson.dumps(customer_id), latest, b",".join(recent))
    return Response(body, media_type="application/json")


@payments.post(
    "/transactions",
    summary="May this payment pass?",
    response_model=Score,
    responses={
        HTTPStatus.ACCEPTED: {"model": Pending, "description": "Taken, not decided within the deadline"},
        **described(
            HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    },
)
async def decide(
    request: Request,
    payment: Transaction,
    deadline_ms: Annotated[int | None, Query(ge=1, le=30_000, description="how long to wait for the decision")] = None,
) -> Response:
    """The payment takes the way of every event; the answer is its score, or 202 and a link when the deadline is over.

    Repeating a request is safe: it gives the stored decision. 503 means that the payment was not taken.
    """
    context = of(request)
    submissions: Submissions = context.parts["fraud"]
    seconds = (deadline_ms or context.settings.score_deadline_ms) / 1000
    until = asyncio.get_running_loop().time() + seconds
    key = payment.transaction_id.encode()
    answer = submissions.gateway.expect(key)  # before anything else: the score could come between two steps
    try:
        stored = await context.values.get(_key(payment.transaction_id))
        if stored is not None:
            return Response(stored, media_type="application/json")
        sent = _taken(submissions, payment)
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait({answer}, timeout=max(0.0, left))
    finally:
        submissions.gateway.forget(key, answer)
    if answer.done():
        return Response(orjson.dumps(document_of(answer.result(), TIMES)), media_type="application/json")
    return _pending(payment.transaction_id, sent)


def _taken(submissions: Submissions, payment: Transaction) -> asyncio.Future[None]:
    try:
        return submissions.submit(payment, int(time.time() * 1000))
    except AwayError as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not taken: {error}", {"Retry-After": "1"}) from error
    except RefusedError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _pending(transaction_id: str, sent: asyncio.Future[None]) -> Response:
    if not sent.done():
        detail = "the broker has not confirmed the payment within the deadline; repeating the request is safe"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
    trouble = sent.exception()
    if trouble is not None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"not taken: {trouble}", {"Retry-After": "1"})
    location = f"/v1/fraud/transactions/{quote(transaction_id, safe='')}"
    body = {"transaction_id": transaction_id, "status": "pending", "location": location}
    headers = {"Location": location, "Retry-After": "1"}
    return Response(orjson.dumps(body), HTTPStatus.ACCEPTED, headers=headers, media_type="application/json")
