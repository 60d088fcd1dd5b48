"""The steps of a retraining, each as one function: the command line and the DAG call the same.

A step reads what the one before handed on, hands on its own result and returns it, ready for JSON.
Done again for the same date it gives the same result.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestration.retraining.checks import examine
from orchestration.retraining.gate import Limits
from orchestration.retraining.gated import Gated
from orchestration.retraining.handover import Run
from orchestration.retraining.product import Report, Retrained, Window
from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.store import Store
from orchestration.training.frame import Frame
from orchestration.training.metrics import DAY_MS


@dataclass(frozen=True, slots=True)
class Steps(Gated):
    """The steps of one run. `shelf` is the product's folder of models in use."""

    product: Retrained
    run: Run
    shelf: Path

    @property
    def name(self) -> str:
        """Return the product's name."""
        return self.product.name

    def tables(self) -> tuple[str, ...]:
        """Return the tables of the product's source."""
        return self.product.tables()

    def limits(self) -> Limits:
        """Return what the product's gate asks."""
        return self.product.limits()

    def extract(self, days: int, report: Report) -> dict[str, Any]:
        """Read the rows of the window that ends at the logical date, and keep them as a frame."""
        with self.run.locked():
            window = Window(self.run.at_ms - days * DAY_MS, self.run.at_ms)
            asked = {
                **self.product.asked(window),
                **asdict(window),
                "feature_set_version": self.product.feature_set_version,
            }
            before, pinned = self.before(asked)
            if before is not None and self.run.has_rows():
                return before
            found = self.product.extract(window, pinned, report)
            self.run.put_frame(found.frame)
            return self.run.put(
                "extract",
                {
                    "product": self.product.name,
                    "at": self.run.at.isoformat(),
                    "asked": asked,
                    "rows": len(found.frame),
                    "frauds": int(found.frame.y.sum()),
                    "digest": found.frame.digest(),
                    "origin": dict(found.origin),
                },
            )

    def validate(self) -> dict[str, Any]:
        """Check the frame. Raise StoppedError, naming each failed check, if one failed."""
        with self.run.locked():
            self.run.need("extract")
            frame = self.run.frame()
            return self.examined(examine(frame, self.product.wanted()))

    def train(self, report: Report) -> dict[str, Any]:
        """Learn a model from the frame, and keep it beside what the run hands on."""
        with self.run.locked():
            extract = self.passed()
            frame = self.run.frame()
            origin = {**extract["origin"], "rows": extract["rows"], "digest": extract["digest"]}
            card = self.product.learn(frame, origin, self.run.candidate, report)
            return self.run.put(
                "train",
                {
                    "version": card.version,
                    "digest": extract["digest"],
                    "features": len(card.features),
                    "files": dict(card.files),
                    "split": card.details.get("split", {}),
                },
            )

    def evaluate(self) -> dict[str, Any]:
        """Measure the new model and the one in use on the same held-out rows."""
        with self.run.locked():
            version = self.same_rows("train")["version"]
            if (before := self.won(version)) is not None:
                return before
            rows = self.product.held_out(self.run.frame())
            card, predictor = Store(self.run.candidate).load(version)
            differences: dict[str, Any] = {}

            def measured(its: Card, other: Any) -> dict[str, Any]:
                theirs = _own(its, rows)
                if its.version != version:
                    ours = (predictor, _own(card, rows))
                    found = self.product.differences(ours, (other, theirs))
                    differences.update({name: asdict(one) for name, one in found.items()})
                return dict(self.product.metrics(its, other, theirs))

            return self.run.put(
                "evaluate",
                {
                    "challenger": version,
                    "metrics": self.product.metrics(card, predictor, rows),
                    "champion": self.champion(measured),
                    "differences": differences,
                    "held_out": {
                        "from": int(rows.event_time.min()),
                        "to": int(rows.event_time.max()),
                    },
                },
            )


def _own(card: Card, rows: Frame) -> Frame:
    """Return rows with the features that a model reads, in its order."""
    if missing := sorted(set(card.features) - set(rows.features)):
        words = f"it reads features that are no longer computed: {', '.join(missing)}"
        raise UnusableModelError(words)
    places = [rows.features.index(name) for name in card.features]
    return Frame(card.features, rows.x[:, places], rows.y, rows.event_time, rows.customer)
