"""The frame serves every product alike.

It names none, and takes up another by its line in products.yaml alone.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

import serving
from config import products as declared
from config.files import write
from config.settings import ROOT, Settings
from config.topics import topics
from ingestion.kafka.quarantine import TOPIC as QUARANTINE
from millrace.flink import jobs
from millrace.flink.keeper import of_products
from millrace.stack.layout import Layout
from millrace.stack.processes import processes
from millrace.stack.supervisor import render
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.run import metrics_port
from tests.unit.serving.api_parts import KEY, MemoryValues

FOLDERS = ("millrace/flink", "millrace/stack", "orchestration/shelf", "processing", "serving")
FILES = ("config/products.py", "scripts/compose.py")


def _frame() -> list[Path]:
    jobs_of = {product.job for product in declared.products()}
    own = {ROOT / "processing/jobs" / f"{job}.py" for job in jobs_of}
    for product in declared.products():
        own |= set((ROOT / "serving" / product.consumer).rglob("*.py"))
    found = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} - own
    return sorted({ROOT / name for name in FILES} | found)


def _names() -> list[str]:
    """Patterns of what only products have.

    Their own names anywhere, their topics and records as words.
    """
    named = [name for product in declared.products() for name in (product.consumer, product.job)]
    theirs = [topic for topic in topics().values() if topic.name != QUARANTINE]
    words = {rf"\b{re.escape(word)}\b" for topic in theirs for word in (topic.name, topic.schema)}
    return [*(rf"(?i:{name})" for name in named), *sorted(words)]


def test_the_frame_names_no_product() -> None:
    told = [
        (str(path.relative_to(ROOT)), found[0])
        for path in _frame()
        for name in _names()
        if (found := re.search(name, path.read_text()))
    ]
    assert told == []


def test_the_frame_is_all_but_the_products_own_modules() -> None:
    frame = {str(path.relative_to(ROOT)) for path in _frame()}
    assert {
        "millrace/stack/layout.py",
        "serving/consumers/loop.py",
        "serving/api/app.py",
        "serving/store.py",
    } <= frame
    assert {"serving/consumers/handling.py"} <= frame
    own = {
        "processing/jobs/fraud_features.py",
        "serving/fraud/consumer.py",
        "serving/fraud/types.py",
    }
    assert not own & frame


CONSUMER = """
class Toys:
    name = "toys"
    topic = "toy-sales"
    output = None
"""
ROUTE = """
from fastapi import APIRouter

router = APIRouter(prefix="/v1/toys")
routers = (router,)


@router.get("/sold")
async def sold() -> dict[str, int]:
    return {"sold": 3}
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A third product: a line, a job, a consumer and a route, in a folder of its own."""
    parts = {
        "products.yaml": f"{declared.FILE.read_text()}  - {{job: toys_sold, consumer: toys}}\n",
        "processing/jobs/toys_sold.py": "",
        "serving/toys/consumer.py": CONSUMER,
        "serving/toys/routes.py": ROUTE,
    }
    for name, text in parts.items():
        write(tmp_path / name, text)
    monkeypatch.setattr(serving, "__path__", [*serving.__path__, str(tmp_path / "serving")])
    monkeypatch.setattr(jobs, "ROOT", tmp_path)
    monkeypatch.setattr(declared, "FILE", tmp_path / "products.yaml")
    declared.products.cache_clear()
    yield tmp_path
    declared.products.cache_clear()
    sys.modules.pop("serving.toys.routes", None)


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", api_keys=SecretStr("key-one"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.usefixtures("toys")
class TestAThirdProduct:
    def test_its_consumer_is_a_process_with_metrics_of_its_own(self, local: Settings) -> None:
        every = processes(local)
        consumer = every["consumer-toys"]
        assert consumer.command[-2:] == ("-m", "serving.toys.consumer")
        assert importlib.util.find_spec(consumer.command[-1]) is not None
        port = metrics_port(local, "toys")
        assert consumer.ports == {"metrics": port}
        assert consumer.ready.target.endswith(f":{port}/readyz")
        assert [name for name, one in every.items() if port in one.ports.values()] == [
            "consumer-toys"
        ]
        assert "[program:consumer-toys]" in render(Layout.of(local), every.values())

    def test_its_consumer_is_a_container_like_the_others(self) -> None:
        compose = _compose()
        services = compose.document(compose.defaults())["services"]
        toys, other = services["consumer-toys"], services["consumer-business"]
        port = metrics_port(compose.defaults(), "toys")
        assert toys["command"] == ["python", "-m", "millrace.stack.run", "consumer-toys"]
        assert toys["expose"] == [str(port)]
        assert toys["environment"] == {**other["environment"], "MILLRACE_HOST": "consumer-toys"}
        assert set(toys) == set(other)

    def test_its_job_is_kept_and_can_be_submitted(self, local: Settings, toys: Path) -> None:
        assert [kept.name for kept in of_products(local).kept][-1] == "toys_sold"
        jobs.check_name("toys_sold")
        assert jobs.command(local, "toys_sold", None)[-1] == str(
            toys / "processing" / "jobs" / "toys_sold.py"
        )

    async def test_its_routes_are_mounted_and_guarded(self, local: Settings) -> None:
        app = create(Context(local, MemoryValues(), codec=cast("Any", None)))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api"
        ) as client:
            assert (await client.get("/v1/toys/sold")).status_code == 401
            assert (await client.get("/v1/toys/sold", headers=KEY)).json() == {"sold": 3}
            assert "/v1/toys/sold" in (await client.get("/openapi.json")).json()["paths"]


def _compose() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "scripts_compose", ROOT / "scripts" / "compose.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
