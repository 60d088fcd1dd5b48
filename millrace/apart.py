"""Run a module of ours in a process of its own: nothing here may import `serving`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from config.errors import RetryableError
from config.settings import ROOT


def answer(what: str, module: str, *arguments: str, within_s: int) -> Any:
    """Return the JSON of a module's last line.

    Raise RetryableError: with its last words if it fails, naming `what` if it takes too long.
    """
    try:
        ended = subprocess.run(
            (sys.executable, "-m", module, *arguments),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RetryableError(f"{what}: not done within {within_s} s") from None
    if ended.returncode:
        words = ended.stderr.strip().splitlines()
        raise RetryableError(words[-1] if words else f"{module} failed")
    return json.loads(ended.stdout.strip().splitlines()[-1])
