"""docs/your-own.md, typed word for word: from an Avro record to a look-up over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import ROOT
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.parts import until

PAGE = (ROOT / "docs" / "your-own.md").read_text(encoding="utf-8")
OFFSET = 10_000 + SECOND_OFFSET


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Stack]:
    """Settings of a stack of its own; nothing runs yet, and nothing does afterwards."""
    with shifted(tmp_path / "state", OFFSET) as stack:
        yield stack


def test_a_reader_gets_from_a_record_to_a_look_up(beside: Stack, tmp_path: Path) -> None:
    commands = blocks("sh")
    look_up = next(number for number, block in enumerate(commands) if "curl" in block)
    mark = "--- block {} ---"
    script = tmp_path / "typed.sh"
    script.write_text(
        "".join(f"{block}\necho '{mark.format(nth)}'\n" for nth, block in enumerate(commands))
    )
    done = subprocess.run(
        ["bash", "-eu", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        timeout=550,
        check=False,
    )
    told = done.stdout
    assert done.returncode == 0, told
    answer = told.split(mark.format(look_up - 1))[1].split(mark.format(look_up))[0]
    (expected,) = blocks("json")
    assert json.loads(answer) == json.loads(expected), told
    assert "parcels_features" in told
    until("the stack is down", lambda: not beside.layout.run.joinpath("supervisord.pid").exists())
