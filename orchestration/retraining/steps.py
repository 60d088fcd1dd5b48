"""The steps of a retraining, each as one function: the command line and the DAG call the same.

A step reads what the one before handed on, hands on its own result and returns it, ready for JSON.
Done again for the same date it gives the same result.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import UserError
from orchestration.retraining.checks import examine
from orchestration.retraining.gate import Champion, judge
from orchestration.retraining.handover import Run
from orchestration.retraining.product import Report, Retrained, Window
from orchestration.retraining.record import CHALLENGER, Record, Retraining
from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.store import Store
from orchestration.training.frame import Frame

SECTION = "retraining"
"""The section of a card's details that says which retraining made the model."""
DAY_MS = 86_400_000


class StoppedError(UserError):
    """Raised when a check stops the retraining; the result of the step is kept."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one run. `shelf` is the product's folder of models in use."""

    product: Retrained
    run: Run
    shelf: Path

    def extract(self, days: int, report: Report) -> dict[str, Any]:
        """Read the rows of the window that ends at the logical date, and keep them as a frame."""
        with self.run.locked():
            window = Window(self.run.at_ms - days * DAY_MS, self.run.at_ms)
            asked = {
                **self.product.asked(window),
                **asdict(window),
                "feature_set_version": self.product.feature_set_version,
            }
            before = self.run.get("extract")
            same = before is not None and before["asked"] == asked
            if before is not None and same and self.run.has_frame():
                return before
            pinned = before["origin"].get("snapshots", {}) if before is not None and same else {}
            if not same:
                # A frame must never lie beside what was said of another one.
                self.run.drop("extract")
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
            frame, extract = self._rows()
            checks = examine(frame, self.product.wanted())
            failed = [one for one in checks if not one.ok]
            done = self.run.put(
                "validate",
                {
                    "ok": not failed,
                    "digest": extract["digest"],
                    "checks": [asdict(one) for one in checks],
                },
            )
            if failed:
                words = "; ".join(f"{one.name}: {one.detail}" for one in failed)
                raise StoppedError(f"the data do not pass: {words}")
            return done

    def train(self, report: Report) -> dict[str, Any]:
        """Learn a model from the frame, and keep it beside what the run hands on."""
        with self.run.locked():
            if not self._same_rows("validate")["ok"]:
                raise StoppedError(f"the data did not pass: {self.run.command('validate')}")
            frame, extract = self._rows()
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
            version, before = self._same_rows("train")["version"], self.run.get("evaluate")
            current = Store(self.shelf).current()
            if before is not None and before["challenger"] == current == version:
                return before  # it has won already: what it won against stands
            rows = self.product.held_out(self._rows()[0])
            card, predictor = Store(self.run.candidate).load(version)
            return self.run.put(
                "evaluate",
                {
                    "challenger": version,
                    "metrics": self.product.metrics(card, predictor, rows),
                    "champion": self._champion(rows),
                    "held_out": {
                        "from": int(rows.event_time.min()),
                        "to": int(rows.event_time.max()),
                    },
                },
            )

    def register(self, record: Record) -> dict[str, Any]:
        """Record the run in MLflow and publish the model; it scores nothing yet."""
        with self.run.locked():
            extract, evaluate = self.run.need("extract"), self.run.need("evaluate")
            candidate = Store(self.run.candidate)
            card = candidate.card(evaluate["challenger"])
            retraining = _retraining(self.run, card, extract, evaluate)
            run = record.run(retraining)
            published = self._publish(candidate, card, run, extract)
            recorded = record.write(run, retraining, Store(self.shelf), published)
            record.point(CHALLENGER, recorded.registered)
            return self.run.put("register", {"version": card.version, "mlflow": asdict(recorded)})

    def promote(self, record: Record) -> dict[str, Any]:
        """Ask the gate, record its verdict, and make the model current if it passed."""
        with self.run.locked():
            register, evaluate = self.run.need("register"), self.run.need("evaluate")
            version, store = register["version"], Store(self.shelf)
            if version != evaluate["challenger"]:
                raise UserError(
                    f"{evaluate['challenger']} was judged, {version} registered: "
                    f"{self.run.command('register')}, then promote"
                )
            current = store.current()
            if current not in (version, _version(evaluate["champion"])):
                raise UserError(
                    f"{current} became current since: {self.run.command('evaluate')}, then promote"
                )
            verdict = judge(
                version,
                evaluate["metrics"],
                self.run.at_ms,
                _gated(evaluate["champion"]),
                self.product.limits(),
                withdrawn=store.history().withdrawn(version),
            )
            done = self.run.put("promote", {**verdict.document(), "promoted": verdict.passed})
            mlflow = register["mlflow"]
            record.judged(mlflow["run"], verdict.passed, "; ".join(verdict.reasons))
            if verdict.passed:
                store.promote(version)
            record.follow(store.current())
            return done

    def _rows(self) -> tuple[Frame, dict[str, Any]]:
        extract = self.run.need("extract")
        return self.run.frame(), extract

    def _same_rows(self, step: str) -> dict[str, Any]:
        """Return what a step handed on. Raise UserError if it was about other rows than today's."""
        done = self.run.need(step)
        if done.get("digest") != self.run.need("extract")["digest"]:
            raise UserError(f"the rows are others since: {self.run.command(step)}")
        return done

    def _champion(self, rows: Frame) -> dict[str, Any] | None:
        """Return the model in use with its metrics on the rows; without, if it reads others."""
        store = Store(self.shelf)
        version = store.current()
        if version is None:
            return None
        try:
            card, predictor = store.load(version)
        except UnusableModelError as error:
            return {"version": version, "metrics": None, "until": None, "why": str(error)}
        until = card.details.get(SECTION, {}).get("until")
        found: dict[str, Any] = {"version": version, "until": until}
        missing = sorted(set(card.features) - set(rows.features))
        if missing:
            words = f"it reads features that are no longer computed: {', '.join(missing)}"
            return {**found, "metrics": None, "why": words}
        own = _with_features(rows, card.features)
        return {**found, "metrics": self.product.metrics(card, predictor, own)}

    def _publish(self, candidate: Store, card: Card, run: str, extract: dict[str, Any]) -> Card:
        """Publish the candidate with its origin on its card; one that is there stays as it is."""
        section = {
            "mlflow_run": run,
            "logical_date": self.run.at.isoformat(),
            "begin": extract["asked"]["begin"],
            "until": self.run.at_ms,
            "snapshots": extract["origin"].get("snapshots", {}),
        }
        return Store(self.shelf).publish(
            card.version,
            card.kind,
            candidate.files(card),
            feature_set_version=card.feature_set_version,
            features=card.features,
            details={**card.details, SECTION: section},
        )


def _retraining(
    run: Run, card: Card, extract: dict[str, Any], evaluate: dict[str, Any]
) -> Retraining:
    origin, champion = extract["origin"], evaluate["champion"] or {}
    metrics = {f"test_{name}": value for name, value in evaluate["metrics"].items()}
    its = champion.get("metrics") or {}
    metrics |= {f"champion_{name}": value for name, value in its.items()}
    parameters = {
        **card.details.get("parameters", {}),
        "seed": card.details.get("seed"),
        "feature_set_version": card.feature_set_version,
        "window_begin_ms": extract["asked"]["begin"],
        "window_until_ms": extract["asked"]["until"],
        "data": origin.get("source"),
        "data_digest": extract["digest"],
        **{f"snapshot.{table}": number for table, number in origin.get("snapshots", {}).items()},
        **{f"sha256.{name}": digest for name, digest in card.files.items()},
    }
    tags = {"millrace.product": run.product, "millrace.champion": champion.get("version", "")}
    return Retraining(
        card.version, run.at_ms, run.at.isoformat(), parameters, _finite(metrics), tags
    )


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _version(champion: dict[str, Any] | None) -> str | None:
    return champion["version"] if champion else None


def _gated(champion: dict[str, Any] | None) -> Champion | None:
    if champion is None:
        return None
    return Champion(champion["version"], champion["metrics"], champion["until"])


def _with_features(frame: Frame, features: tuple[str, ...]) -> Frame:
    """Return the frame with these features, in this order."""
    places = [frame.features.index(name) for name in features]
    return Frame(features, frame.x[:, places], frame.y, frame.event_time, frame.customer)
