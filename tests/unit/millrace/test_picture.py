"""The picture of the live page that a demo saves."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from config.errors import UserError
from millrace.demo import picture
from serving.fraud import page as of_fraud
from tests.unit.serving.api_parts import KEY
from tests.unit.serving.browser_parts import served


@pytest.mark.slow
def test_the_page_is_saved_as_a_browser_draws_it(tmp_path: Path) -> None:
    try:
        picture.chromium()
    except UserError as error:
        pytest.skip(str(error))
    path = tmp_path / "page.png"
    with served(tmp_path, [of_fraud]) as api:
        picture.take(api.url, KEY["X-API-Key"], path, size=(800, 600))
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG")
    assert width == 800
    assert height >= 600


def test_what_a_picture_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UserError, match="apt-get install chromium"):
        picture.chromium()
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match="make setup"):
        picture.chromium()
