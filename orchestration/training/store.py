"""Where models go.

`<folder>/<version>/{model.txt,model.json}`, and `<folder>/current`, replaced in one step.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def publish(folder: Path, version: str, booster: str, card: Mapping[str, Any]) -> Path:
    """Write a model whole, then make it current.

    A reader sees the old one or the new one, never half of one.

    `booster` is LightGBM's text, `card` becomes model.json. A version that exists is left as it is:
    equal versions are equal models. Returns the model's folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / version
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
        draft.chmod(0o755)
        try:
            _write(draft / "model.txt", booster)
            _write(draft / "model.json", json.dumps(card, indent=2) + "\n")
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    pointer = folder / f".current-{os.getpid()}"
    _write(pointer, version + "\n")
    pointer.replace(folder / "current")
    return target


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
