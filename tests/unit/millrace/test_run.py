"""What a process is started with: its environment, its key, its log."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path

import pytest
import structlog

from config.logging import configure
from config.settings import ROOT, Settings
from millrace.stack import secrets
from millrace.stack.files import write
from millrace.stack.processes import processes
from millrace.stack.run import environment


def test_only_the_api_is_given_the_key(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    declared = processes(settings)
    given = environment(declared["api"], settings)
    assert given["MILLRACE_API_KEYS"] == (tmp_path / "secrets" / "api-key").read_text().strip()
    assert environment(declared["kafka"], settings).get("MILLRACE_API_KEYS") is None
    assert given["PYTHONPATH"].split(":")[0] == str(ROOT)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    key = secrets.api_keys(settings)
    assert len(key) >= 32
    assert secrets.api_keys(settings) == key
    assert (tmp_path / "secrets" / "api-key").stat().st_mode & 0o777 == 0o600


def test_given_keys_are_used_and_none_is_made(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state_dir": tmp_path, "api_keys": "one,two"})
    assert secrets.api_keys(settings) == "one,two"
    assert not (tmp_path / "secrets").exists()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", "one")
    write(tmp_path / "a" / "b", "two")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (tmp_path / "a" / "b").read_text() == "two"


def test_logs_are_one_json_object_a_line_from_both_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure("test", Settings(log_level="INFO", log_json=True))
        structlog.get_logger().info("hello", answer=42)
        structlog.get_logger().debug("unheard")
        logging.getLogger("library").warning("watch %s", "out")
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        root.handlers[:], root.level = handlers, level
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["answer"], first["process"], first["level"]) == ("hello", 42, "test", "info")
    assert (second["event"], second["level"], second["process"]) == ("watch out", "warning", "test")
