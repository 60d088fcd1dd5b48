"""The registry client: what it asks, what it makes of the answers, how long it tries."""

from __future__ import annotations

import httpx
import pytest

from config.errors import RetryableError, UserError
from ingestion.registry import IncompatibleSchemaError, UnknownSchemaError
from tests.unit.ingestion.registries import FakeRegistry

ONE = '{"type": "record", "name": "R", "fields": []}'
ONE_LAID_OUT = '{"name": "R",\n "type": "record", "fields": []}'
TWO = '{"type": "record", "name": "R", "doc": "more", "fields": []}'


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


def test_registering_an_equal_schema_again_makes_no_version(fake: FakeRegistry) -> None:
    with fake.client() as registry:
        first = registry.register("s-value", ONE)

        assert registry.register("s-value", ONE_LAID_OUT) == first
        assert registry.versions("s-value") == [1]
        assert registry.register("s-value", TWO) != first
        assert registry.versions("s-value") == [1, 2]
        assert registry.register("s-value", ONE) == first
        assert registry.subjects() == ["s-value"]


def test_schema_by_id(fake: FakeRegistry) -> None:
    fake.add("s-value", ONE)
    with fake.client() as registry:
        assert registry.schema(1) == ONE
        with pytest.raises(UnknownSchemaError):
            registry.schema(2)


def test_an_unknown_subject_has_no_versions_and_no_level(fake: FakeRegistry) -> None:
    with fake.client() as registry:
        assert registry.versions("none") == []
        assert registry.compatibility("none") is None
        assert registry.look_up("none", ONE) is None
        assert registry.check("none", ONE) is None


def test_compatibility_is_set_per_subject(fake: FakeRegistry) -> None:
    with fake.client() as registry:
        registry.set_compatibility("s-value")

        assert registry.compatibility("s-value") == "FULL_TRANSITIVE"


def test_what_the_registry_says_of_an_incompatible_schema(fake: FakeRegistry) -> None:
    fake.add("s-value", ONE)
    with fake.client() as registry:
        fake.trouble = lambda request: (
            httpx.Response(200, json={"is_compatible": False, "reason": "no default"})
            if "compatibility" in request.url.path
            else None
        )
        assert registry.check("s-value", TWO) == "no default"

        fake.trouble = lambda request: (
            httpx.Response(409, json={"error_code": 409, "message": "no default"}) if request.method == "POST" else None
        )
        with pytest.raises(IncompatibleSchemaError, match="no default"):
            registry.register("s-value", TWO)


def test_a_registry_that_comes_back_is_waited_for(fake: FakeRegistry) -> None:
    fake.add("s-value", ONE)
    pauses: list[float] = []
    answers = [httpx.Response(503, text="starting"), httpx.Response(500, json={"message": "still"})]
    fake.trouble = lambda request: answers.pop(0) if answers else None

    with fake.client(sleep=pauses.append, pause=0.5) as registry:
        assert registry.schema(1) == ONE
    assert pauses == [0.5, 1.0]


def test_a_registry_that_stays_away_is_given_up(fake: FakeRegistry) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    fake.trouble = refuse
    with (
        fake.client(attempts=4) as registry,
        pytest.raises(RetryableError, match="http://registry does not answer: connection refused"),
    ):
        registry.schema(1)
    assert len(fake.requests) == 4


def test_any_other_error_is_told_at_once(fake: FakeRegistry) -> None:
    fake.trouble = lambda request: httpx.Response(401, text="who are you?")
    with fake.client() as registry, pytest.raises(UserError, match="401 to GET /subjects: who are you"):
        registry.subjects()
    assert len(fake.requests) == 1
