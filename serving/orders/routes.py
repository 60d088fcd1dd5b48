"""Serve `/v1/fraud/orders`: decisions on a shop's orders."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from domain.fraud.policy import STRENGTH
from serving.api.context import of
from serving.api.lean import LeanRoute
from serving.api.problems import Problem, described
from serving.orders import keys
from serving.orders.types import Flagged, Order

router = APIRouter(prefix="/v1/fraud/orders", tags=["orders"], route_class=LeanRoute)
routers = (router,)


@router.get(
    "",
    operation_id="get_flagged_orders",
    summary="Order lines to review or blocked",
    response_model=Flagged,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def flagged(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=keys.FLAGGED_KEPT, description="how many at most")] = 50,
) -> Response:
    """Return the lines that were not approved, newest first by time of the order."""
    lines = await of(request).values.newest(keys.FLAGGED, limit)
    return Response(b'{"lines":[%b]}' % b",".join(lines), media_type="application/json")


@router.get(
    "/{order_id:rest}",
    operation_id="get_order",
    summary="The decision on an order",
    response_model=Order,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def order(
    request: Request,
    order_id: Annotated[
        str,
        Path(description="transaction_id, or event_id of a line without", examples=["o-42"]),
    ],
) -> Response:
    """Return the decision on this order: the strongest of those on the lines scored so far."""
    stored = await of(request).values.newest(keys.order(order_id), keys.LINES)
    if not stored:
        raise Problem(HTTPStatus.NOT_FOUND, f"no score is known of order {order_id}")
    lines = [orjson.loads(one) for one in stored]
    worst = max(lines, key=lambda line: (STRENGTH[line["decision"]], line["score"]))
    body = {
        "order_id": order_id,
        "decision": worst["decision"],
        "score": max(line["score"] for line in lines),
        "lines": lines,
    }
    return Response(orjson.dumps(body), media_type="application/json")
