"""The frame serves every product alike.

It names none, and takes up another by its declaration alone, wherever that lies.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from config import products as declared
from config.errors import UserError
from config.files import write
from config.settings import ROOT, Settings, settings
from config.topics import topics
from domain.features.registry import tables
from ingestion import schema
from ingestion.kafka.quarantine import TOPIC as QUARANTINE
from millrace.flink import jobs, lineage, outside, submission
from millrace.flink.keeper import of_products
from millrace.flink.submission import Wanted
from millrace.stack.layout import Layout
from millrace.stack.parts import flink
from millrace.stack.processes import processes, selected
from millrace.stack.run import environment
from millrace.stack.supervisor import render
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.run import metrics_port
from tests.unit.modules import script
from tests.unit.serving.api_parts import KEY, MemoryValues

FOLDERS = ("millrace/flink", "millrace/stack", "orchestration/shelf", "processing", "serving")
FILES = ("config/products.py", "scripts/compose.py")


def _frame() -> list[Path]:
    ours = declared.products()
    own = {job.file for product in ours for job in product.jobs}
    for product in ours:
        own |= set((ROOT / "processing" / product.name).rglob("*.py"))
        modules = (*product.routes, *(one.module for one in product.consumers))
        for module in modules:
            own |= set(ROOT.joinpath(*module.split(".")[:-1]).rglob("*.py"))
    found = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} - own
    return sorted({ROOT / name for name in FILES} | found)


def _names() -> list[str]:
    """Patterns of what only products have.

    Their own names anywhere, their topics and records as words.
    """
    ours = declared.products()
    named = {product.name for product in ours} | set(declared.jobs())
    theirs = [topic for topic in topics().values() if topic.name != QUARANTINE]
    words = {rf"\b{re.escape(word)}\b" for topic in theirs for word in (topic.name, topic.schema)}
    return [*(rf"(?i:{name})" for name in sorted(named)), *sorted(words)]


@pytest.mark.slow
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
        "serving/store/redis.py",
    } <= frame
    assert {"serving/consumers/handling.py"} <= frame
    own = {
        "processing/jobs/fraud_features.py",
        "serving/fraud/consumer.py",
        "serving/fraud/types.py",
    }
    assert not own & frame


PRODUCT = """
name: toys
group: toys
features: toys.features
jobs: [toys.toys_sold, toys.toys_returned]
consumers:
  toys: {module: toys.consumer, port: 19150}
  toy_shelves: {module: toys.shelves, port: 19152}
routes: [toys.routes]
"""
TOPICS = """
topics:
  toy-sales: {key: toy_id, schema: ToySale}
  toy-features: {key: toy_id, schema: ToyFeatures, partitions: 1}
"""
SCHEMA = """
{"type": "record", "name": "ToySale", "namespace": "toys", "doc": "A toy that was sold.",
 "fields": [{"name": "toy_id", "type": "string", "doc": "which"}]}
"""
FEATURES = """
from domain.features.declaration import RowFeature
from domain.features.table import FeatureTable

TOYS = FeatureTable(
    name="toys",
    record="ToyFeatures",
    description="What is known of a toy.",
    key="toy_id",
    carried=({"name": "toy_id", "type": "string", "doc": "which"},),
    rows=(RowFeature("weekday", "BIGINT", "1", lambda row: 1, "day of the week"),),
    sets=(),
    model=("weekday",),
)
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
    """A product outside the repository: two jobs, two consumers, features, a contract, a route."""
    folder = tmp_path / "shop of toys"
    parts = {
        "product.yaml": PRODUCT,
        "topics.yaml": TOPICS,
        "schema/ToySale.avsc": SCHEMA,
        "toys/__init__.py": "",
        "toys/features.py": FEATURES,
        "toys/toys_sold.py": "",
        "toys/toys_returned.py": "",
        "toys/consumer.py": "",
        "toys/shelves.py": "",
        "toys/routes.py": ROUTE,
    }
    for name, text in parts.items():
        write(folder / name, text)
    monkeypatch.setenv("MILLRACE_PRODUCTS_PATH", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    for module in [name for name in sys.modules if name.partition(".")[0] == "toys"]:
        del sys.modules[module]


@pytest.fixture
def local(tmp_path: Path, toys: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", api_keys=SecretStr("key-one"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
class TestAProductOutside:
    def test_each_consumer_is_a_process_with_the_metrics_port_it_declares(
        self, local: Settings
    ) -> None:
        every = processes(local)
        assert every["consumer-toys"].command[-2:] == ("-m", "toys.consumer")
        assert every["consumer-toys"].ports == {"metrics": metrics_port(local, "toys")}
        assert every["consumer-toy_shelves"].ports == {"metrics": 19152 + local.port_offset}
        assert every["consumer-toys"].ready.target.endswith(f":{19150 + local.port_offset}/readyz")
        assert "[program:consumer-toy_shelves]" in render(Layout.of(local), every.values())

    def test_its_processes_find_its_modules(self, local: Settings, toys: Path) -> None:
        path = environment(processes(local)["consumer-toys"], local)["PYTHONPATH"].split(":")
        assert path[0] == str(ROOT)
        assert str(toys) in path

    def test_its_jobs_are_kept_and_can_be_submitted(self, local: Settings, toys: Path) -> None:
        assert {"toys_sold", "toys_returned"} <= {kept.name for kept in of_products(local).kept}
        job = jobs.declared(local, "toys_sold")
        assert (job.root, job.file) == (toys, toys / "toys" / "toys_sold.py")
        asked = submission.job(local, Wanted("toys_sold"), lineage.Line("f" * 32, None))
        assert asked["module"] == "toys.toys_sold"
        given = outside.environment(local)
        assert given["PYTHONPATH"] == f"{ROOT}:{toys}"
        assert given["MILLRACE_PRODUCTS_PATH"] == str(toys)

    def test_its_topics_and_contracts_stand_beside_ours(self, toys: Path) -> None:
        assert topics()["toy-sales"].partitions == topics()["shop-events"].replication + 1
        assert schema.load("ToySale")["namespace"] == "toys"
        assert "ToySale" in schema.names()

    def test_the_record_of_its_features_is_derived(self, toys: Path) -> None:
        fields = schema.load("ToyFeatures")["fields"]
        assert [field["name"] for field in fields] == ["toy_id", "weekday"]
        assert "toys" in {table.name for table in tables(declared.feature_modules())}

    async def test_its_routes_are_mounted_and_guarded(self, local: Settings) -> None:
        app = create(Context(local, MemoryValues(), codec=cast("Any", None)))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api"
        ) as client:
            assert (await client.get("/v1/toys/sold")).status_code == 401
            assert (await client.get("/v1/toys/sold", headers=KEY)).json() == {"sold": 3}
            assert "/v1/toys/sold" in (await client.get("/openapi.json")).json()["paths"]

    def test_it_is_gone_with_its_group(self, local: Settings) -> None:
        without = local.model_copy(update={"groups": "core,shop"})
        every = processes(without)
        assert {"consumer-business", "jobs", "api"} <= set(every)
        assert not {"consumer-toys", "consumer-toy_shelves"} & set(every)
        assert "toys_sold" not in {kept.name for kept in of_products(without).kept}
        app = create(Context(without, MemoryValues(), codec=cast("Any", None)))
        assert "/v1/toys/sold" not in app.openapi()["paths"]
        assert "/v1/metrics/business" in app.openapi()["paths"]

    def test_slots_follow_from_the_jobs_that_run(self, local: Settings) -> None:
        needed = len(declared.running_jobs(local)) * 3
        wide = local.model_copy(update={"flink_parallelism": 3})
        assert flink.config(wide)["taskmanager.numberOfTaskSlots"] == needed
        assert flink.config(wide)["taskmanager.memory.managed.size"] == f"{32 * needed}m"
        fewer = wide.model_copy(update={"groups": "core,toys"})
        assert flink.task_slots(fewer) == 6

    def test_a_name_that_it_shares_with_another_is_refused(
        self, toys: Path, local: Settings
    ) -> None:
        for ours, theirs, words in (
            ("name: toys", "name: business", "product business is claimed twice"),
            ("toys.toys_sold", "toys.business_metrics", "job business_metrics is claimed twice"),
            ("toys: {mod", "fraud: {mod", "consumer fraud is claimed twice"),
            ("toys: {mod", "toys_sold: {mod", "group millrace-toys_sold is claimed twice: by job"),
            ("19152", "19101", "port 19101 is claimed twice: by consumer business of"),
            ("19152", "19092", "port 19092 is claimed twice: by kafka and by consumer-toy_shelves"),
        ):
            write(toys / "product.yaml", PRODUCT.replace(ours, theirs))
            _forget()
            with pytest.raises(UserError, match=words):
                processes(local.model_copy(update={"port_offset": 0}))
        _forget()

    def test_a_declaration_that_cannot_be_used_is_refused_with_its_file(
        self, toys: Path, local: Settings
    ) -> None:
        for text, words in (
            ("name: toys", r"product\.yaml: product toys: group: Field required"),
            (f"{PRODUCT}\nport: 3", r"product\.yaml: product toys: port: Extra inputs"),
            ("[]", r"product\.yaml: not a mapping"),
        ):
            write(toys / "product.yaml", text)
            _forget()
            with pytest.raises(UserError, match=words):
                declared.products(local)
        _forget()

    def test_a_topic_or_record_that_another_declares_is_refused(self, toys: Path) -> None:
        write(toys / "topics.yaml", TOPICS.replace("toy-sales", "shop-events"))
        with pytest.raises(UserError, match=r"topic shop-events is declared twice: .*topics\.yaml"):
            topics()
        write(toys / "schema" / "ShopEvent.avsc", SCHEMA)
        with pytest.raises(UserError, match="record ShopEvent is declared twice"):
            schema.names()


def _forget() -> None:
    declared._all.cache_clear()


class TestGroups:
    def test_all_that_products_yaml_has_on_run_when_nobody_says_anything(self) -> None:
        assert declared.groups(_groups("")) == {"core", "fraud", "shop"}

    def test_what_the_setting_says_runs(self) -> None:
        assert declared.groups(_groups(" core , airflow")) == {"core", "airflow"}

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(UserError, match="no group named shops; there are: core, fraud, shop"):
            declared.groups(_groups("core,shops"))

    def test_with_adds_to_what_runs(self) -> None:
        wider = declared.with_groups(_groups("core,shop"), ("fraud",))
        assert declared.groups(wider) == {"core", "shop", "fraud"}
        with pytest.raises(UserError, match="no group named nothing"):
            declared.with_groups(_groups(""), ("nothing",))

    def test_a_group_that_is_off_takes_its_processes_and_jobs_along(self) -> None:
        chosen = _groups("core,shop")
        assert "consumer-fraud" not in processes(chosen)
        assert declared.running_jobs(chosen) == ("business_metrics", "recommendations")

    def test_only_takes_processes_and_groups(self) -> None:
        chosen = selected(_groups(""), ("shop", "redis"))
        assert list(chosen) == [
            "kafka",
            "registry",
            "redis",
            "jobmanager",
            "taskmanager",
            "topics",
            "jobs",
            "consumer-business",
            "consumer-recommender",
            "api",
        ]


def _groups(text: str) -> Settings:
    return Settings(_env_file=None, groups=text)  # type: ignore[call-arg]


@pytest.mark.slow
def test_compose_holds_the_consumers_of_every_group_as_a_profile() -> None:
    compose = script("compose")
    services = compose.document(compose.defaults())["services"]
    fraud, other = services["consumer-fraud"], services["consumer-business"]
    assert fraud["command"] == ["python", "-m", "millrace.stack.run", "consumer-fraud"]
    assert (fraud["expose"], other["expose"]) == (["19100"], ["19101"])
    assert (fraud["profiles"], other["profiles"]) == (["fraud"], ["shop"])
    assert fraud["environment"] == {**other["environment"], "MILLRACE_HOST": "consumer-fraud"}
