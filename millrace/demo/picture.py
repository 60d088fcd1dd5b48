"""Save pictures of pages as Chromium draws them."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from config.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAMES = 8
"""Frames of the stream that have come before the picture: rates need some seconds."""
WITHIN_MS = 30_000
Theme = Literal["dark", "light"]


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
    theme: Theme = "dark",
    size: tuple[int, int] = (1440, 900),
) -> None:
    """Save the whole page at `url` as a PNG, `size` pixels wide and at least as high.

    `key` is one of the API's. Raise UserError if the page shows no figures in time.
    """
    with _blank(f"no picture of {url}", size, theme) as page:
        page.add_init_script(f"sessionStorage.setItem('millrace-key', {json.dumps(key)})")
        page.goto(url, timeout=WITHIN_MS)
        page.wait_for_function(
            "least => Number(document.body.dataset.frames) >= least",
            arg=FRAMES,
            timeout=WITHIN_MS,
        )
        page.screenshot(path=path, full_page=True)


def draw(content: str, path: Path, *, size: tuple[int, int] = (1440, 400)) -> None:
    """Save a page of HTML as a PNG, `size` pixels wide and at least as high.

    Raise UserError if there is no Chromium.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _blank("no picture", size) as page:
        page.set_content(content, timeout=WITHIN_MS)
        page.screenshot(path=path, full_page=True)


@contextmanager
def _blank(refusal: str, size: tuple[int, int], theme: Theme | None = None) -> Iterator[Page]:
    """Yield an empty page of Chromium's. Raise UserError, from `refusal` on, for what it says."""
    program = chromium()
    from playwright.sync_api import Error, sync_playwright

    width, height = size
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        try:
            yield browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                reduced_motion="reduce",
            )
        except Error as error:
            raise UserError(f"{refusal}: {error.message.splitlines()[0]}") from error
        finally:
            browser.close()
