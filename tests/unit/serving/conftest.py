from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import lightgbm
import numpy as np
import pytest
import redis
import structlog
from fastapi import FastAPI
from pydantic import SecretStr

from config.settings import Settings
from domain.fraud.graph import GRAPH
from orchestration.shelf.store import Store
from serving.api.app import create
from serving.api.context import Context
from serving.api.gateway import Gateway
from serving.fraud.routes import Submissions
from tests.unit.serving.api_parts import FakeGateway, MemoryValues


@pytest.fixture(autouse=True, scope="session")
def plain_logs() -> Iterator[None]:
    """Log lines without the tracebacks that take structlog's default a second each to draw."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


FEATURES = ("amount", "customer_count_1h", "terminal_risk_7d")
THRESHOLDS = {"review": 0.3, "block": 0.8}
WriteModel = Callable[..., Path]


@pytest.fixture(scope="session")
def booster() -> lightgbm.Booster:
    """Fraud is an amount above 50, and a little the terminal's risk."""
    rng = np.random.default_rng(3)
    x = rng.random((2000, len(FEATURES))) * [100, 10, 1]
    y = (x[:, 0] + 10 * x[:, 2] > 55).astype(np.int8)
    data = lightgbm.Dataset(x, y, feature_name=list(FEATURES))
    return lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1}, data, 20
    )


@pytest.fixture
def write_model(tmp_path: Path, booster: lightgbm.Booster) -> WriteModel:
    """Publish a model on the shelf `tmp_path` and, unless told otherwise, make it current."""
    store = Store(tmp_path)

    def write(
        version: str = "m1",
        *,
        feature_set: str = GRAPH.version,
        current: bool = True,
        features: tuple[str, ...] = FEATURES,
        thresholds: object = THRESHOLDS,
        kind: str = "lightgbm",
    ) -> Path:
        store.publish(
            version,
            kind,
            {"model.txt": booster.model_to_string().encode()},
            feature_set_version=feature_set,
            features=features,
            details={"thresholds": thresholds},
        )
        if current:
            store.promote(version)
        return tmp_path / version

    return write


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def values() -> MemoryValues:
    return MemoryValues()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def context(values: MemoryValues, gateway: FakeGateway) -> Context:
    configured = Settings(
        api_keys=SecretStr("key-one, key-two"), score_deadline_ms=20, api_max_body_bytes=300
    )
    context = Context(configured, values, codec=cast("Any", None))
    context.parts["fraud"] = Submissions(cast("Gateway", gateway), size=2)
    return context


@pytest.fixture
def application(context: Context) -> FastAPI:
    return create(context)


@pytest.fixture
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[redis.Redis]:
    """A Redis of the test's own, with its file in `tmp_path`."""
    socket = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(tmp_path)]
    command = ["redis-server", *options, "--appendonly", "yes", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    found = redis.Redis(unix_socket_path=str(socket))
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield found
    finally:
        found.close()
        process.terminate()
        process.wait()
