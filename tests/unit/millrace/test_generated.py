"""docker-compose.yml and .env.example say what processes.py and settings.py say."""

from __future__ import annotations

import re

import pytest
import yaml

from config.products import running
from config.settings import ROOT, Settings
from millrace.stack.processes import declared
from tests.unit.modules import script

compose, env = script("compose"), script("env")


@pytest.mark.slow
def test_the_committed_files_are_the_rendered_ones() -> None:
    assert (ROOT / "docker-compose.yml").read_text() == compose.render()
    assert (ROOT / ".env.example").read_text() == env.render()


@pytest.mark.slow
def test_rendering_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compose.render()
    monkeypatch.setenv("MILLRACE_PORT_OFFSET", "123")
    assert compose.render() == before


def test_the_containers_are_the_local_stacks_processes() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    every = declared(compose.defaults())
    local = {name: process for name, process in every.items() if not process.local}
    assert list(services) == [*local, "grafana"]
    for name, process in local.items():
        service = services[name]
        assert service["command"] == ["python", "-m", "millrace.stack.run", name]
        assert service.get("expose", []) == [str(port) for port in process.ports.values()]
        assert set(service.get("depends_on", {})) == set(process.depends_on)
        assert re.sub(r"^\$\{\w+:-(.+)\}$", r"\1", service["mem_limit"]) == f"{process.memory}m"
        assert service["restart"] == ("no" if process.oneshot else "unless-stopped")
        assert ("healthcheck" in service) is not process.oneshot
        assert service.get("profiles", ["core"]) == [process.group, *process.also]
        # A service that no profile starts would hold up one that always runs.
        assert process.group != "core" or {local[one].group for one in process.depends_on} <= {
            "core"
        }


def test_containers_serve_the_groups_of_the_profiles() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    given = {
        service["environment"]["MILLRACE_GROUPS"]
        for service in services.values()
        if service["image"] == "millrace"
    }
    assert given == {"${MILLRACE_GROUPS:-${COMPOSE_PROFILES:-}}"}
    # Profiles do not name the group `core`, and need not.
    serving = Settings(_env_file=None, groups="fraud,shop")  # type: ignore[call-arg]
    assert {product.group for product in running(serving)} == {"fraud", "shop"}


def test_containers_find_each_other_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, value in services["api"]["environment"].items():
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert settings.kafka_bootstrap == "kafka:19092"
    assert settings.registry_url == "http://registry:19081/apis/ccompat/v7"
    assert settings.redis_url == "redis://redis:19379/0"
    assert settings.flink_rest == "http://jobmanager:19082"


def test_containers_take_the_settings_of_env_but_what_is_their_own() -> None:
    local = {
        f"MILLRACE_{name}"
        for name in ("STATE_DIR", "BUILD_DIR", "HOST", "PORT_OFFSET", "PRODUCTS_PATH")
    }
    every = {f"MILLRACE_{name.upper()}" for name in Settings.model_fields}
    local |= {name for name in every if name.endswith(("_BASE_PORT", "_OVERRIDE"))}
    # That of .env, or else the profiles.
    local.add("MILLRACE_GROUPS")
    local.add("MILLRACE_PROCESSES_BY_NAME")
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in (one for one in services.values() if one["image"] == "millrace"):
        assert service["env_file"] == [{"path": ".env", "required": False}]
        # Whatever else has a value there would hide that of .env: an empty key, the key.
        assert {
            name for name, value in service["environment"].items() if value is not None
        } == local
        assert service["environment"]["MILLRACE_API_KEYS"] is None


def test_a_containers_limit_follows_its_setting() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert services["taskmanager"]["mem_limit"] == "${MILLRACE_FLINK_TASKMANAGER_MEMORY:-2048m}"
    assert services["jobmanager"]["mem_limit"] == "${MILLRACE_FLINK_JOBMANAGER_MEMORY:-768m}"


def test_the_containers_user_may_make_flinks_folder_of_jars() -> None:
    image = (ROOT / "Dockerfile").read_text()
    folder = compose.BUILT.removeprefix("/app/") + "/flink"
    assert re.search(rf"^RUN .*chown millrace .*{re.escape(folder)}$", image, re.MULTILINE)
    assert image.index("chown millrace") < image.index("USER millrace")


def test_the_example_names_every_setting_with_its_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    lines = [line[1:] for line in env.render().splitlines() if line.startswith("#MILLRACE_")]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) == {f"MILLRACE_{name.upper()}" for name in Settings.model_fields}
    for name in given:
        monkeypatch.delenv(name, raising=False)
    bare = Settings(_env_file=None)  # type: ignore[call-arg]
    for name, value in given.items():
        if value:
            monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == bare  # type: ignore[call-arg]
