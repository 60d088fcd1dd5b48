"""One real stack for the whole session, on its own ports and in a temporary folder, taken down also after failures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from millrace.stack.harness import Stack, shifted


@pytest.fixture(scope="session")
def _session_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with shifted(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def stack(_session_stack: Stack) -> Stack:
    """Kafka, the registry, Redis and Flink, with topics and schemas; no job, no consumer."""
    _session_stack.up("taskmanager", "redis", "topics")
    return _session_stack


@pytest.fixture(scope="session")
def pipeline(stack: Stack) -> Stack:
    """The whole stack: a model trained on simulated payments, the jobs, the consumers and the API."""
    if not stack.layout.current_model.exists():
        stack.cli("train", "fraud", "--simulate")
    stack.up()
    return stack
