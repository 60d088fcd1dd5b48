"""Serve `/v1/anomalies/train`: train outside the API's process, and tell how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from anyio import to_thread
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from config.settings import Settings
from domain.anomalies.policy import PRODUCT
from serving.anomalies.jobs import BusyError, Jobs
from serving.anomalies.types import Value
from serving.api.context import Context, of
from serving.api.problems import Problem, described

PART = "anomalies-training"
PREFIX = "/v1/anomalies/train"
JOB: dict[str, Any] = {
    "job_id": "1764486000000-1f0c6a0b",
    "state": "succeeded",
    "done": 2,
    "of": 2,
    "version": "combined-580c4854b0cd",
    "error": None,
    "detector": "combined",
    "promote": True,
    "started": "2025-11-30T07:00:00.000Z",
    "changed": "2025-11-30T07:00:04.120Z",
}

router = APIRouter(prefix=PREFIX, tags=["anomalies"])
alias = APIRouter(prefix="/api", include_in_schema=False)


class Training(BaseModel):
    """What to train on: a file's name, or windows."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"file": "windows.parquet", "detector": "combined"}},
    )

    detector: Literal["iforest", "ocsvm", "lstm", "combined", "all"] = Field(
        default="combined",
        description="combined: iforest and ocsvm; lstm, an autoencoder, and all need JAX",
    )
    file: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.(csv|jsonl|parquet)$",
        description="in the folder anomalies/data of the state folder",
    )
    windows: list[dict[str, Value | None]] | None = Field(
        default=None, min_length=1, description="features by name, a window each"
    )
    seed: int = Field(default=7, ge=0, lt=2**31)
    promote: bool = Field(default=False, description="make the model current at once")


class Job(BaseModel):
    """A training."""

    model_config = ConfigDict(json_schema_extra={"example": JOB})

    job_id: str
    state: Literal["running", "succeeded", "failed"]
    done: int = Field(description="detectors that have learnt")
    of: int | None = Field(description="detectors; null: it has just begun")
    version: str | None = Field(description="of the model on the shelf, once it succeeded")
    error: str | None = Field(description="why it failed")
    detector: str
    promote: bool
    started: str
    changed: str


class Trainings(BaseModel):
    """Trainings, the newest first."""

    jobs: list[Job]


def bodies(settings: Settings) -> dict[str, int]:
    """Return how many bytes a POST to each path may have."""
    return dict.fromkeys((PREFIX, f"/api{PREFIX}"), settings.anomalies_max_body_bytes)


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Find the jobs of before."""
    state = context.settings.state_dir
    context.parts[PART] = Jobs(state / PRODUCT / "jobs", state / "models" / PRODUCT)
    yield


@router.post(
    "",
    summary="Train a detector",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Job,
    responses=described(
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ),
)
async def train(request: Request, training: Training) -> Response:
    """Answer 202 at once; `GET /v1/anomalies/train/{job_id}` says how far it is.

    It runs in a process of its own, one at a time, and goes on while the API restarts. Data that
    nothing can be learnt from fails the job, with the reason.
    """
    if (training.file is None) == (training.windows is None):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "say either `file` or `windows`")
    data = None
    if training.file is not None:
        data = of(request).settings.state_dir / PRODUCT / "data" / training.file
        if not data.is_file():
            detail = f"no file {training.file} in the folder {data.parent}"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    jobs = _jobs(request)

    def start() -> dict[str, Any]:
        return jobs.start(
            training.detector,
            seed=training.seed,
            promote=training.promote,
            data=data,
            windows=training.windows or (),
        )

    try:
        found = await to_thread.run_sync(start)
    except BusyError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    return _json(found, HTTPStatus.ACCEPTED)


@router.get("", summary="Trainings", response_model=Trainings)
async def trainings(request: Request) -> Response:
    """Return the last trainings, the newest first."""
    return _json({"jobs": await to_thread.run_sync(_jobs(request).listed)})


@router.get(
    "/{job_id}",
    summary="A training",
    response_model=Job,
    responses=described(HTTPStatus.NOT_FOUND),
)
async def training_(
    request: Request, job_id: Annotated[str, Path(description="as POST answered")]
) -> Response:
    """Return a training as it stands; one whose process died has failed."""
    jobs = _jobs(request)
    found = await to_thread.run_sync(lambda: jobs.job(job_id))
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no training {job_id}")
    return _json(found)


alias.include_router(router)
routers = (router, alias)


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = of(request).parts[PART]
    return jobs


def _json(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
