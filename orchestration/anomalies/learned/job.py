"""Train in a process of its own: `python -m orchestration.anomalies.learned.job FOLDER`.

`FOLDER/request.json` says what to train, `FOLDER/state.json` how far it is. Whoever started the
process knows by its lock whether it lives (serving/anomalies/jobs.py).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from config.errors import UserError
from config.files import write
from config.logging import configure
from config.settings import settings
from orchestration.anomalies.learned.detectors import CHOICES
from orchestration.anomalies.learned.recorded import write as write_record
from orchestration.anomalies.learned.rows import read
from orchestration.anomalies.learned.train import train
from orchestration.retraining.record import failures
from orchestration.shelf.card import Card
from orchestration.shelf.store import Store

REQUEST, STATE = "request.json", "state.json"

log = structlog.get_logger(__name__)


def work(folder: Path, now: Callable[[], float] = time.time) -> bool:
    """Do the job of a folder; return whether it succeeded. Its state says why not."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    detectors = len(CHOICES[request["detector"]])
    state: dict[str, Any] = {"state": "running", "done": 0, "of": detectors, "version": None}

    def told(**changes: Any) -> None:
        state.update(changes)
        write(folder / STATE, json.dumps({**state, "changed": int(now() * 1000)}) + "\n")

    told()
    try:
        learnt = train(
            read(Path(request["data"])),
            request["detector"],
            seed=request["seed"],
            progress=lambda done: told(done=done),
        )
        store = Store(Path(request["shelf"]))
        card = learnt.publish(store.folder)
        if request["promote"]:
            store.promote(card.version)
        recorded(store, card)
    except UserError as error:
        told(state="failed", error=str(error))
        return False
    except Exception as error:
        log.exception("training failed")
        told(state="failed", error=repr(error))
        return False
    told(state="succeeded", version=card.version)
    return True


def recorded(store: Store, card: Card) -> None:
    """Write MLflow's record; a training whose record cannot be written has succeeded all the same.

    The log says why.
    """
    try:
        found = write_record(settings(), store, card)
    except failures() as error:
        log.warning("not recorded in MLflow", model=card.version, error=str(error))
    else:
        run = None if found is None else found.run
        log.info("trained", model=card.version, sha256=dict(card.files), mlflow_run=run)


if __name__ == "__main__":
    configure("anomalies-training", settings())
    sys.exit(0 if work(Path(sys.argv[1])) else 1)
