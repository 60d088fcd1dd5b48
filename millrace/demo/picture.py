"""Save a picture of the live page as Chromium draws it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Literal

from config.errors import UserError

FRAMES = 8
"""Frames of the stream that have come before the picture: rates need some seconds."""
WITHIN_MS = 30_000


def chromium() -> str:
    """Return where Chromium is. Raise UserError if it, or what drives it, is not installed."""
    found = shutil.which("chromium")
    if found is None:
        raise UserError("a picture needs Chromium: apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        raise UserError("a picture needs Playwright: type `make setup`")
    return found


def take(
    url: str,
    key: str,
    path: Path,
    *,
    theme: Literal["dark", "light"] = "dark",
    size: tuple[int, int] = (1440, 900),
) -> None:
    """Save the whole page at `url` as a PNG, `size` pixels wide and at least as high.

    `key` is one of the API's. Raise UserError if the page shows no figures in time.
    """
    program = chromium()
    from playwright.sync_api import Error, sync_playwright

    width, height = size
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                reduced_motion="reduce",
            )
            page.add_init_script(f"sessionStorage.setItem('millrace-key', {json.dumps(key)})")
            page.goto(url, timeout=WITHIN_MS)
            page.wait_for_function(
                "least => Number(document.body.dataset.frames) >= least",
                arg=FRAMES,
                timeout=WITHIN_MS,
            )
            page.screenshot(path=path, full_page=True)
        except Error as error:
            raise UserError(f"no picture of {url}: {error.message.splitlines()[0]}") from error
        finally:
            browser.close()
