"""The registry client: what it asks, what it makes of the answers, how long it tries."""

from __future__ import annotations

import httpx
import pytest

from config.errors import RetryableError, UserError
from ingestion.wire.registry import IncompatibleSchemaError, Registry, UnknownSchemaError
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
            httpx.Response(409, json={"error_code": 409, "message": "no default"})
            if request.method == "POST"
            else None
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


PAGE = "<html><h1>404 Not Found</h1>nginx</html>"
NO_VERDICTS = [
    httpx.Response(404, text=PAGE),
    httpx.Response(404, json={"status": 404, "title": "no such path"}),
    httpx.Response(404, json={"error_code": 404, "message": "HTTP 404 Not Found"}),
    httpx.Response(404, json={"error_code": "none"}),
    httpx.Response(400, json={"error_code": 40401, "message": "a code that is not its own"}),
    httpx.Response(401, text="who are you?"),
    httpx.Response(403, json={"error_code": 40301, "message": "not you"}),
    httpx.Response(422, json={"error_code": 42201, "message": "no such question"}),
    httpx.Response(302, headers={"Location": "http://login"}, text="over there"),
    httpx.Response(200, text=PAGE),
    httpx.Response(200, json={"status": "ok"}),
    httpx.Response(200, json=[]),
]


@pytest.mark.parametrize(
    "answer", NO_VERDICTS, ids=lambda answer: f"{answer.status_code} {answer.text[:20]}"
)
def test_only_the_registry_itself_can_say_that_an_id_is_unknown(
    fake: FakeRegistry, answer: httpx.Response
) -> None:
    fake.trouble = lambda request: answer

    with (
        fake.client() as registry,
        pytest.raises(RetryableError, match="schema registry http://registry answered"),
    ):
        registry.schema(1)
    assert len(fake.requests) == 1, "asked again by who needs it, not at once"


@pytest.mark.parametrize("code", [40401, 40402, 40403, 40499])
def test_its_own_not_found_is_a_verdict_for_the_command_line_too(
    fake: FakeRegistry, code: int
) -> None:
    fake.trouble = lambda request: httpx.Response(
        404, json={"error_code": code, "message": "not here"}
    )

    with fake.client() as registry:
        with pytest.raises(UnknownSchemaError, match="not here"):
            registry.schema(1)
        with pytest.raises(UserError, match="not here"):
            registry.version("s-value", 3)


@pytest.mark.parametrize("answer", NO_VERDICTS[:7], ids=lambda answer: str(answer.status_code))
def test_a_wrong_address_is_told_and_nothing_is_registered(
    fake: FakeRegistry, answer: httpx.Response
) -> None:
    fake.trouble = lambda request: answer

    with (
        fake.client() as registry,
        pytest.raises(RetryableError, match=f"answered {answer.status_code} to GET /subj"),
    ):
        registry.register("s-value", ONE)
    assert [method for method, _ in fake.requests] == ["GET"]


def test_what_is_no_url_is_told() -> None:
    with Registry("http://[::1") as registry, pytest.raises(UserError, match="is not a URL"):
        registry.subjects()


def test_credentials_are_not_told() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    transport = httpx.MockTransport(refuse)
    with Registry("http://me:hush@there/api", transport=transport, attempts=1) as registry:
        with pytest.raises(RetryableError) as caught:
            registry.subjects()
        assert "http://there/api does not answer" in str(caught.value)
