"""Serve `/v1/anomalies`: judge windows, find what was found, and tell of models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import orjson
from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from config.errors import RetryableError, UserError
from config.settings import Settings
from domain.alerts.episodes import Criticality
from domain.anomalies.policy import PRODUCT
from domain.times import since_epoch
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.anomalies import types
from serving.anomalies.history import Filters, History, cursor, document, place
from serving.anomalies.model import TRAIN, UnfitError, accept
from serving.anomalies.service import Asked, NoModelError, Service
from serving.api.context import Context, of
from serving.api.problems import Problem, described

T = TypeVar("T")
PREFIX = "/v1/anomalies"
DEEPEST = 10_000
"""The greatest offset: a database walks over all rows before it."""
SENSORS = 10

router = APIRouter(prefix=PREFIX, tags=["anomalies"])
# The same under /api, for clients that expect it there.
alias = APIRouter(prefix="/api", include_in_schema=False)
REFUSED = described(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
AWAY = described(HTTPStatus.SERVICE_UNAVAILABLE)
Id = Annotated[str | None, Query(min_length=1, max_length=200)]
Day = Annotated[
    str | None, Query(description="ISO 8601: a day, all of it included, or a time; UTC if unsaid")
]


def bodies(settings: Settings) -> dict[str, int]:
    """Return how many bytes a POST to each path may have."""
    paths = (f"{PREFIX}/detect/batch", f"{PREFIX}/detect")
    return {
        before + path: settings.anomalies_max_body_bytes
        for path in paths
        for before in ("", "/api")
    }


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Open the shelf and the history; neither is read yet."""
    settings = context.settings
    folder = settings.state_dir / "models" / PRODUCT
    history = History(settings.anomalies_url, settings.anomalies_kept_days)
    context.parts[PRODUCT] = Service(Shelf(folder, accept, TRAIN), Store(folder), history)

    async def answers() -> str | None:
        try:
            await to_thread.run_sync(history.check)
        except RetryableError as error:
            return str(error)
        return None

    context.checks["anomalies"] = answers
    try:
        yield
    finally:
        history.close()


@router.post(
    "/detect",
    summary="Judge one window",
    response_model=types.Detection,
    responses=REFUSED,
)
async def detect(request: Request, window: types.Window) -> Response:
    """Return the score of a window, whether it is an anomaly, and which feature adds how much.

    The judgement is kept in the history.
    """
    (found,) = await _detect(request, [window], explain_all=True)
    return _json(found)


@router.post(
    "/detect/batch",
    summary=f"Judge up to {types.MOST} windows",
    response_model=types.Detections,
    responses=REFUSED,
)
async def detect_batch(request: Request, batch: types.Batch) -> Response:
    """Return the judgement on each window, in order; anomalies are explained.

    All are kept, or none: 422 names the first window that cannot be judged.
    """
    found = await _detect(request, batch.windows, explain_all=False)
    return _json({"detections": found, "anomalies": sum(one["is_anomaly"] for one in found)})


@router.get("", summary="What was found", response_model=types.Found, responses=REFUSED)
async def history(
    request: Request,
    *,
    asset_id: Id = None,
    sensor_id: Id = None,
    start_date: Day = None,
    end_date: Day = None,
    is_anomaly: Annotated[bool | None, Query(description="only those, or only the others")] = None,
    criticality: Annotated[Criticality | None, Query(description="of the asset")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=DEEPEST, description="how many to pass over; deeper by `cursor`")
    ] = 0,
    after: Annotated[
        str | None,
        Query(alias="cursor", max_length=400, description="`next_cursor` of the page before"),
    ] = None,
) -> Response:
    """Return judgements that the filters find, the newest window first."""
    if after is not None and offset:
        raise _unfit("a page has an offset or a cursor, not both")
    try:
        end = None if after is None else place(after)
        start, until = _time(start_date), _time(end_date, end=True)
    except ValueError as error:
        raise _unfit(str(error)) from error
    filters = Filters(asset_id, sensor_id, start, until, is_anomaly, criticality)
    kept = _service(request).history

    def look_up() -> dict[str, Any]:
        found = kept.find(filters, limit + 1, offset=offset, after=end)
        page, last = found[:limit], len(found) <= limit
        return {
            "detections": [document(one) for one in page],
            "total": kept.count(filters) if after is None else None,
            "next_cursor": None
            if last
            else cursor((page[-1]["timestamp"], page[-1]["detection_id"])),
        }

    return _json(await _run(look_up))


@router.get(
    "/status", summary="Can windows be judged?", response_model=types.Status, responses=AWAY
)
async def status(request: Request) -> Response:
    """Return the model in use, what is wrong if anything is, and how many judgements are kept."""
    service = _service(request)

    def look_up() -> dict[str, Any]:
        service.shelf.refresh()
        return {
            "ready": not service.shelf.empty,
            "trouble": service.shelf.trouble,
            "model": service.current(),
            "detections": service.history.count(Filters()),
        }

    return _json(await _run(look_up))


@router.get("/models", summary="Versions of the model", response_model=types.Models, responses=AWAY)
async def models(request: Request) -> Response:
    """Return every version on the shelf, the newest first, with the hashes of its files."""
    return _json({"models": await _run(_service(request).models)})


@router.get(
    "/metrics", summary="Figures of detection", response_model=types.Figures, responses=AWAY
)
async def metrics(
    request: Request,
    hours: Annotated[int, Query(ge=1, le=24 * 366, description="back from now")] = 24,
) -> Response:
    """Return how much was judged and found in the last hours, by criticality, model and sensor."""
    kept = _service(request).history

    def look_up() -> dict[str, Any]:
        since = kept.now() - hours * 3_600_000
        models = kept.summary(since, "model_version")
        total = sum(one["detections"] for one in models)
        anomalies = sum(one["anomalies"] for one in models)
        return {
            "hours": hours,
            "detections": total,
            "anomalies": anomalies,
            "anomaly_rate": anomalies / total if total else None,
            "by_criticality": _named(kept.summary(since, "criticality")),
            "by_model": _named(models),
            "by_sensor": _named(kept.summary(since, "sensor_id")[:SENSORS]),
        }

    return _json(await _run(look_up))


alias.include_router(router)
routers = (router, alias)


async def _detect(
    request: Request, windows: Sequence[types.Window], *, explain_all: bool
) -> list[dict[str, Any]]:
    service = _service(request)
    now = service.history.now()
    asked = [
        Asked(
            one.sensor_id,
            one.asset_id,
            now if one.timestamp is None else since_epoch(one.timestamp),
            one.criticality,
            one.features,
        )
        for one in windows
    ]
    found = await _run(lambda: service.detect(asked, explain_all=explain_all))
    return [document(one) for one in found]


async def _run(work: Callable[[], T]) -> T:
    """Do work that blocks on a thread, and answer for what it raises."""
    try:
        return await to_thread.run_sync(work)
    except UnfitError as error:
        raise _unfit(str(error)) from error
    except (NoModelError, UserError) as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    except RetryableError as error:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "the history is away, try again", {"Retry-After": "1"}
        ) from error


def _service(request: Request) -> Service:
    service: Service = of(request).parts[PRODUCT]
    return service


def _unfit(why: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, why)


def _time(text: str | None, *, end: bool = False) -> int | None:
    """Return a time in ms; a day that ends what is asked for is included. Raise ValueError."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date of ISO 8601") from error
    when = since_epoch(found if found.tzinfo else found.replace(tzinfo=UTC))
    if not end:
        return when
    day = len(text) <= len("2025-11-30")
    return when + (int(timedelta(days=1).total_seconds() * 1000) if day else 1)


def _named(counts: list[dict[str, Any]]) -> dict[str, Any]:
    return {one.pop("name"): one for one in counts}


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
