"""Settings that cannot be used are named, with the reason and without what was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.errors import UserError
from config.settings import ROOT, Settings, settings

pytestmark = pytest.mark.usefixtures("fresh_settings")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT_OFFSET", "s3cret", "valid integer"),
        ("PORT_OFFSET", "-1", "greater than or equal to 0"),
        ("LOG_LEVEL", "s3cret", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("LOG_JSON", "s3cret", "valid boolean"),
        ("STATE_DIR", str(ROOT), "holds the project itself"),
        ("STATE_DIR", "/", "holds the project itself"),
    ],
)
def test_a_bad_one_is_named_with_the_reason_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"MILLRACE_{name}", value)
    with pytest.raises(UserError) as refused:
        settings()
    assert str(refused.value).startswith(f"MILLRACE_{name}: ")
    assert reason in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_bad_ones_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_PORT_OFFSET", "x")
    monkeypatch.setenv("MILLRACE_FLINK_TASK_SLOTS", "0")
    with pytest.raises(UserError, match=r"MILLRACE_PORT_OFFSET: .*; MILLRACE_FLINK_TASK_SLOTS: "):
        settings()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_DIR", "REDIS_URL_OVERRIDE", "KAFKA_BOOTSTRAP_OVERRIDE", "PORT_OFFSET"):
        monkeypatch.setenv(f"MILLRACE_{name}", "")
    found = Settings(_env_file=None)  # type: ignore[call-arg]
    assert found.state_dir == ROOT / ".millrace"
    assert found.redis_url == "redis://127.0.0.1:19379/0"


def test_levels_are_known_in_any_case(tmp_path: Path) -> None:
    assert (
        Settings.model_validate({"state_dir": tmp_path, "log_level": "warning"}).log_level
        == "WARNING"
    )
    with pytest.raises(ValidationError):
        Settings.model_validate({"state_dir": tmp_path, "log_level": "loud"})


def test_paths_are_the_projects_where_they_do_not_begin_at_the_root(tmp_path: Path) -> None:
    given = {"state_dir": tmp_path, "build_dir": "b", "retrain_data": "data/payments.parquet"}
    found = Settings.model_validate(given)
    assert (found.state_dir, found.build_dir) == (tmp_path, ROOT / "b")
    assert found.retrain_data == ROOT / "data" / "payments.parquet"
    assert Settings.model_validate({"state_dir": tmp_path}).retrain_data is None
