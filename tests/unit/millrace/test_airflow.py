"""Airflow's processes: where they listen, what they are given, and who may read it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import SecretStr

from config.settings import Settings
from millrace.stack import install, probes
from millrace.stack.layout import Layout
from millrace.stack.parts import airflow
from millrace.stack.process import Probe, Process
from millrace.stack.processes import declared, processes
from millrace.stack.run import environment
from tests.unit.modules import script

NAMES = {"airflow-tables", "airflow-api", "airflow-scheduler", "airflow-dags"}


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path, port_offset=7)  # type: ignore[call-arg]


def test_off_until_asked_for(local: Settings) -> None:
    assert not NAMES & set(processes(local))
    assert set(processes(local.model_copy(update={"groups": "airflow"}))) == NAMES


def test_it_is_set_up_when_first_asked_for(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    monkeypatch.setattr(Layout, "airflow_python", property(lambda _: python))
    asked = local.model_copy(update={"groups": "core,airflow"})
    assert install.missing(local.model_copy(update={"groups": "core"})) == []
    assert install.missing(asked) == ["airflow"]
    python.touch()
    assert install.missing(asked) == []


@pytest.mark.slow
def test_no_container_of_ours_runs_it(local: Settings) -> None:
    compose = script("compose")
    assert not NAMES & set(compose.document(compose.defaults())["services"])


def test_it_binds_the_local_address_and_moves_with_the_ports(local: Settings) -> None:
    given = declared(local)["airflow-scheduler"].env
    assert given["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert given["AIRFLOW__API__PORT"] == "19117"
    assert given["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:19117/execution/"
    assert given["AIRFLOW_HOME"] == str(local.state_dir / "airflow")


def test_the_project_is_not_on_its_path(local: Settings) -> None:
    assert environment(declared(local)["airflow-api"], local)["PYTHONPATH"] == ""


def test_its_processes_share_secrets_that_only_the_owner_reads(local: Settings) -> None:
    every = declared(local)
    first, second = (environment(every[name], local) for name in ("airflow-api", "airflow-dags"))
    names = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY")
    assert [first[name] for name in names] == [second[name] for name in names]
    assert len({first[name] for name in names}) == 2
    assert len(base64.urlsafe_b64decode(first["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert "AIRFLOW__API__SECRET_KEY" not in every["airflow-api"].env, "declared, so shown"
    airflow.prepare(local)
    files = list((local.state_dir / "secrets").iterdir())
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_the_password_is_the_settings_or_made_once(local: Settings) -> None:
    made = airflow.password(local)
    assert len(made) >= 32
    assert airflow.password(local) == made
    given = local.model_copy(update={"airflow_password": SecretStr("hers")})
    airflow.prepare(given)
    kept = (local.state_dir / "secrets" / "airflow-passwords.json").read_text()
    assert json.loads(kept) == {"admin": "hers"}


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"scheduler": {"status": "healthy"}}, None),
        ({"scheduler": {"status": "unhealthy"}}, "its heartbeat is unhealthy"),
        ({"scheduler": {"status": None}}, "its heartbeat is not there yet"),
        ({}, "http://page does not tell of it: KeyError('scheduler')"),
    ],
)
def test_a_component_is_ready_by_its_heartbeat(
    page: dict[str, Any], said: str | None, local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = MagicMock()
    answer.__enter__.return_value.read.return_value = json.dumps(page).encode()
    monkeypatch.setattr(probes, "urlopen", lambda *_args, **_more: answer)
    process = Process("x", ("x",), Probe("component", "http://page#scheduler"), memory=1)
    assert probes.missing(process, local) == said
