from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import domain.events
from config.products import feature_modules
from domain.features.registry import tables
from ingestion.schema import load, names

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_generated_files_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run scripts/generate.py\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", names())
def test_every_record_has_its_type(name: str) -> None:
    schema = load(name)
    fields = dataclasses.fields(getattr(domain.events, name))
    assert [field.name for field in fields] == [field["name"] for field in schema["fields"]]
    optional = {field["name"] for field in schema["fields"] if "default" in field}
    missing = dataclasses.MISSING
    assert {
        f.name for f in fields if f.default is not missing or f.default_factory is not missing
    } == optional


def test_the_feature_topic_s_features_are_nullable_so_that_any_version_reads_any() -> None:
    for table in tables(feature_modules()):
        carried = {field["name"] for field in table.carried}
        for field in load(table.record)["fields"]:
            assert field["name"] in carried or (field["type"][0], field["default"]) == (
                "null",
                None,
            )
