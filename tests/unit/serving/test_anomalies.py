"""The routes of `/v1/anomalies` beside scikit-learn's own scores and a literal filter of a list."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import inspect

from config.settings import Settings
from orchestration.anomalies.learned.rows import Windows
from orchestration.anomalies.learned.train import Learnt, train
from orchestration.shelf.store import Store
from serving.anomalies import routes
from serving.anomalies.history import Filters, History, cursor, place
from serving.anomalies.tables import DETECTIONS, migrate, opened
from serving.api.app import create
from serving.api.context import Context
from tests.unit.serving.api_parts import KEY, MemoryValues

NAMES = ("mean", "spread")
DETECT, BATCH = "/v1/anomalies/detect", "/v1/anomalies/detect/batch"
USUAL = {"mean": 20.0, "spread": 1.0}
STRANGE = {"mean": 20.0, "spread": 9.0}


@pytest.fixture(scope="session")
def learnt() -> Learnt:
    rows = np.random.default_rng(1).normal([20, 1], [5, 0.1], (400, 2))
    return train(Windows(NAMES, rows), "combined")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        state_dir=tmp_path,
        api_keys=SecretStr("key-one"),
        api_max_body_bytes=300,
        anomalies_max_body_bytes=20_000,
    )


@pytest.fixture
def shelf(settings: Settings, learnt: Learnt) -> Store:
    store = Store(settings.state_dir / "models" / "anomalies")
    store.promote(learnt.publish(store.folder).version)
    return store


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    context = Context(settings, MemoryValues(), codec=None)  # type: ignore[arg-type]
    application = create(context, [routes])
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        routes.lifespan(context),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=KEY) as client,
    ):
        yield client


def assert_refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def window(features: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"sensor_id": "s1", "features": features, **more}


@pytest.mark.anyio
async def test_a_window_is_judged_as_scikit_learn_judges(
    client: httpx.AsyncClient, shelf: Store, learnt: Learnt
) -> None:
    for features in (USUAL, STRANGE):
        answer = await client.post(DETECT, json=window(features, criticality="high"))
        found = answer.json()
        row = np.array([[features[name] for name in NAMES]])
        assert answer.status_code == 200
        expected = 1 / (1 + np.exp(-learnt.margins(row)[0]))
        assert found["score"] == pytest.approx(expected, abs=1e-4)
        assert found["threshold"] == learnt.thresholds.high
        assert found["is_anomaly"] == (features is STRANGE)
        assert set(found["detectors"]) == {"iforest", "ocsvm"}
        assert found["model_version"] == shelf.current()


@pytest.mark.anyio
async def test_the_explanation_is_what_the_usual_value_takes_away(
    client: httpx.AsyncClient, shelf: Store, learnt: Learnt
) -> None:
    found = (await client.post(DETECT, json=window(STRANGE))).json()["explanation"]
    usual = dict(zip(NAMES, np.median(learnt.windows.rows, axis=0), strict=True))
    (margin,) = learnt.margins(np.array([[20.0, 9.0]]))
    (calm,) = learnt.margins(np.array([[20.0, usual["spread"]]]))
    assert [one["feature"] for one in found] == ["spread", "mean"]
    assert found[0]["contribution"] == pytest.approx(margin - calm, abs=1e-3)
    assert found[0]["usual"] == pytest.approx(usual["spread"])
    assert found[0]["contribution"] > 5 * abs(found[1]["contribution"])


@pytest.mark.anyio
async def test_a_value_that_is_unknown_counts_as_usual(
    client: httpx.AsyncClient, shelf: Store
) -> None:
    found = (await client.post(DETECT, json=window({"mean": None, "spread": 9.0}))).json()
    (mean,) = [one for one in found["explanation"] if one["feature"] == "mean"]
    assert mean["value"] is None
    assert mean["contribution"] == pytest.approx(0, abs=1e-5)


@pytest.mark.anyio
async def test_a_batch_is_kept_and_found_again(client: httpx.AsyncClient, shelf: Store) -> None:
    asked = [window(USUAL), window(STRANGE, asset_id="a", timestamp="2026-01-02T03:04:05Z")]
    answer = (await client.post(BATCH, json={"windows": asked})).json()
    assert [one["is_anomaly"] for one in answer["detections"]] == [False, True]
    assert [bool(one["explanation"]) for one in answer["detections"]] == [False, True]
    assert answer["anomalies"] == 1
    found = (await client.get("/v1/anomalies?is_anomaly=true")).json()
    assert found == {"detections": [answer["detections"][1]], "total": 1, "next_cursor": None}
    day = "start_date=2026-01-02&end_date=2026-01-02"
    assert (await client.get(f"/v1/anomalies?{day}")).json() == found
    none = (await client.get("/v1/anomalies?end_date=2026-01-01")).json()
    assert none["detections"] == []
    figures = (await client.get("/v1/anomalies/metrics")).json()
    assert (figures["detections"], figures["anomalies"], figures["anomaly_rate"]) == (2, 1, 0.5)
    assert figures["by_sensor"]["s1"]["detections"] == 2


@pytest.mark.anyio
async def test_the_same_is_served_under_api(client: httpx.AsyncClient, shelf: Store) -> None:
    status = (await client.get("/api/v1/anomalies/status")).json()
    assert status["ready"] is True
    assert status["model"]["version"] == shelf.current()
    assert status["model"]["sha256"] == dict(shelf.card(shelf.current() or "").files)
    listed = (await client.get("/v1/anomalies/models")).json()["models"]
    assert [one["state"] for one in listed] == ["current"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (window({"mean": 1.0}), "features missing: spread"),
        (window({**USUAL, "x": 1.0}), "knows no features x"),
        (window({**USUAL, "mean": 1e39}), "beyond 32-bit floats"),
        (window({**USUAL, "mean": "much"}), "features.mean"),
        (window(USUAL, criticality="deadly"), "criticality"),
        (window(USUAL, timestamp="2026-01-01T00:00:00"), "timezone"),
        (window(USUAL, sensor_id="\x00"), "sensor_id"),
        ({"sensor_id": "s"}, "features"),
    ],
)
async def test_a_bad_window_is_a_problem(
    client: httpx.AsyncClient, shelf: Store, body: dict[str, Any], told: str
) -> None:
    answer = await client.post(DETECT, json=body)
    assert_refused(answer, 422)
    assert told in answer.json()["detail"]
    assert (await client.get("/v1/anomalies")).json()["total"] == 0


@pytest.mark.anyio
async def test_a_batch_with_a_bad_window_is_refused_whole(
    client: httpx.AsyncClient, shelf: Store
) -> None:
    bad = {"windows": [window(USUAL), window({"mean": 1.0})]}
    answer = await client.post(BATCH, json=bad)
    assert_refused(answer, 422)
    assert "window 1: features missing" in answer.json()["detail"]
    assert (await client.get("/v1/anomalies")).json()["total"] == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "offset=10001",
        "cursor=!",
        "cursor=eA&offset=1",
        "start_date=x",
        "criticality=x",
        "is_anomaly=x",
    ],
)
async def test_a_bad_question_is_a_problem(client: httpx.AsyncClient, query: str) -> None:
    assert_refused(await client.get(f"/v1/anomalies?{query}"), 422)


@pytest.mark.anyio
async def test_without_a_model_the_answer_says_what_to_type(client: httpx.AsyncClient) -> None:
    answer = await client.post(DETECT, json=window(USUAL))
    assert_refused(answer, 503)
    assert "millrace train anomalies" in answer.json()["detail"]
    assert (await client.get("/v1/anomalies/status")).json()["ready"] is False


@pytest.mark.anyio
async def test_a_graph_with_another_hash_is_not_loaded(
    client: httpx.AsyncClient, shelf: Store, learnt: Learnt
) -> None:
    version = shelf.current() or ""
    (shelf.folder / version / "model.onnx").write_bytes(b"anything")
    answer = await client.post(DETECT, json=window(USUAL))
    assert_refused(answer, 503)
    assert "its SHA-256 differs" in answer.json()["detail"]


@pytest.mark.anyio
async def test_keys_and_bodies_are_guarded(client: httpx.AsyncClient, shelf: Store) -> None:
    assert_refused(await client.get("/v1/anomalies", headers={"X-API-Key": "no"}), 401)
    wide = {"windows": [window(USUAL)] * 10}
    assert (await client.post(BATCH, json=wide)).status_code == 200
    assert (await client.post(f"/api{BATCH}", json=wide)).status_code == 200
    assert_refused(await client.post(BATCH, json={"windows": [window(USUAL)] * 400}), 413)


@pytest.mark.anyio
async def test_a_history_that_is_away_is_a_503(tmp_path: Path, learnt: Learnt) -> None:
    away = f"sqlite:///{tmp_path}"  # a folder
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        state_dir=tmp_path / "state",
        api_keys=SecretStr("key-one"),
        anomalies_database_url=SecretStr(away),
    )
    store = Store(settings.state_dir / "models" / "anomalies")
    store.promote(learnt.publish(store.folder).version)
    context = Context(settings, MemoryValues(), codec=None)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(create(context, [routes]), raise_app_exceptions=False)
    async with (
        routes.lifespan(context),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=KEY) as client,
    ):
        assert_refused(await client.post(DETECT, json=window(USUAL)), 503)
        assert "anomalies" in (await client.get("/readyz")).json()["missing"]


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "detection_id": f"d{number:04d}",
        "asset_id": None,
        "sensor_id": "s",
        "timestamp": 0,
        "detected_at": 1_000,
        "criticality": "normal",
        "score": 0.1,
        "threshold": 0.5,
        "is_anomaly": False,
        "model_version": "m",
        "detectors": {},
        "features": {"mean": None},
        "explanation": [],
        **changes,
    }


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "asset_id": st.sampled_from([None, "a", "b"]),
            "sensor_id": st.sampled_from(["s", "t"]),
            "timestamp": st.integers(-5, 5),
            "is_anomaly": st.booleans(),
            "criticality": st.sampled_from(["low", "normal", "high"]),
        }
    ),
    max_size=60,
)
FILTERS = st.builds(
    Filters,
    asset_id=st.sampled_from([None, "a", "b", "c"]),
    sensor_id=st.sampled_from([None, "s", "t"]),
    start=st.none() | st.integers(-6, 6),
    end=st.none() | st.integers(-6, 6),
    is_anomaly=st.sampled_from([None, True, False]),
    criticality=st.sampled_from([None, "low", "high"]),
)


def kept(one: dict[str, Any], asked: Filters) -> bool:
    return (
        (asked.asset_id is None or one["asset_id"] == asked.asset_id)
        and (asked.sensor_id is None or one["sensor_id"] == asked.sensor_id)
        and (asked.start is None or one["timestamp"] >= asked.start)
        and (asked.end is None or one["timestamp"] < asked.end)
        and (asked.is_anomaly is None or one["is_anomaly"] is asked.is_anomaly)
        and (asked.criticality is None or one["criticality"] == asked.criticality)
    )


@given(ROWS, FILTERS, st.integers(1, 7), st.integers(0, 5))
def test_filters_and_pages_are_those_of_a_list(
    drawn: list[dict[str, Any]], asked: Filters, limit: int, offset: int
) -> None:
    rows = [row(number, **one) for number, one in enumerate(drawn)]
    expected = [one for one in rows if kept(one, asked)]
    expected.sort(key=lambda one: (one["timestamp"], one["detection_id"]), reverse=True)
    history = History("sqlite://", clock=lambda: 1.0)
    history.add(rows)
    assert history.count(asked) == len(expected)
    assert history.find(asked, limit, offset=offset) == expected[offset : offset + limit]
    pages, after = [], None
    while page := history.find(asked, limit, after=after):
        pages += page
        after = place(cursor((page[-1]["timestamp"], page[-1]["detection_id"])))
    assert pages == expected
    history.close()


def test_a_detection_that_is_made_again_replaces_the_one_before() -> None:
    history = History("sqlite://", clock=lambda: 1.0)
    history.add([row(1), row(2)])
    history.add([row(1, score=0.9)])
    assert [one["score"] for one in history.find(Filters(), 10)] == [0.1, 0.9]
    history.close()


def test_old_detections_are_dropped_once_an_hour() -> None:
    now = [0.0]
    history = History("sqlite://", kept_days=1, clock=lambda: now[0])
    history.add([row(1, detected_at=0)])
    now[0] = 86_400.0 + 3600
    history.add([row(2, detected_at=int(now[0] * 1000))])
    assert [one["detection_id"] for one in history.find(Filters(), 10)] == ["d0002"]
    history.close()


def test_migrations_make_the_tables_that_the_code_reads(tmp_path: Path) -> None:
    engine = opened(f"sqlite:///{tmp_path}/history.db")
    migrate(engine)
    migrate(engine)
    found = inspect(engine)
    columns = {one["name"]: one["nullable"] for one in found.get_columns(DETECTIONS.name)}
    assert columns == {one.name: one.nullable for one in DETECTIONS.columns}
    indexes = {one["name"]: one["column_names"] for one in found.get_indexes(DETECTIONS.name)}
    assert indexes == {
        str(one.name): [column.name for column in one.columns] for one in DETECTIONS.indexes
    }
    engine.dispose()


def test_serving_loads_no_library_of_training() -> None:
    import subprocess

    code = (
        "import sys, serving.anomalies.routes\n"
        "print([one for one in ('sklearn', 'skl2onnx', 'onnx', 'jax') if one in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"
