"""One real stack for the whole session, on its own ports and in a temporary folder.

It is taken down after failures, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from config.settings import Settings
from millrace.stack.environ import api_keys
from millrace.stack.harness import Stack, shifted
from tests.integration.flink_home import close
from tests.integration.parts import until

# What is killed must have checkpoints to come back to.
OFTEN = {"MILLRACE_FLINK_CHECKPOINT_INTERVAL_MS": "5000"}


def _needs(item: pytest.Item) -> int:
    """Return how much of the session's stack a test needs: 0 nothing, 1 the broker, 2 all of it."""
    names = item.fixturenames if isinstance(item, pytest.Function) else ()
    return 2 if "harness" in names else 1 if "_ours" in names else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that need the whole stack last: its jobs slow down all that runs beside."""
    here = Path(__file__).parent
    needs: dict[Path, int] = defaultdict(int)
    for item in items:
        needs[item.path] = max(needs[item.path], _needs(item))
    items.sort(key=lambda item: needs[item.path] if here in item.path.parents else 0)


@pytest.fixture(scope="session", autouse=True)
def _no_jvm_is_left() -> Iterator[None]:
    """End the JVMs in which scripts ran."""
    yield
    close()


@pytest.fixture(scope="session", autouse=True)
def _brief() -> Iterator[None]:
    """Let every stack of the session do without what pays off within hours only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILLRACE_JVM_SECOND_COMPILER", "false")
        yield


@pytest.fixture(scope="session")
def _ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Settings and environment of the session's stack; nothing runs yet."""
    with shifted(tmp_path_factory.mktemp("stack"), environ=OFTEN) as stack:
        yield stack


@pytest.fixture(scope="session")
def model(_ours: Stack) -> str:
    """Train a fraud model on simulated payments, make it current and return its version."""
    if not _ours.layout.current_model("fraud").exists():
        _ours.cli("train", "fraud", "--simulate", "--promote")
    return _ours.layout.current_model("fraud").read_text().strip()


@pytest.fixture(scope="session")
def broker(_ours: Stack, model: str) -> Stack:
    """The stack with its model, of which Kafka and the registry run at least."""
    _ours.up("topics")
    return _ours


@pytest.fixture(scope="session")
def harness(_ours: Stack, model: str) -> Stack:
    """The whole stack, running: jobs, consumers, API. To look at it, hurt it, and wait for it."""
    _ours.up()
    return _ours


@pytest.fixture(scope="session")
def stack(harness: Stack) -> Settings:
    """The settings of the whole stack, which runs."""
    return harness.settings


@pytest.fixture
def api(stack: Settings) -> Iterator[httpx.Client]:
    """A client of the API, with a key; ready."""
    url = f"http://{stack.host}:{stack.port('api')}"
    key = api_keys(stack).split(",")[0]
    with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=40) as api:
        until("the API is ready", lambda: api.get("/readyz").status_code == 200)
        yield api
