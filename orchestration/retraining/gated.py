"""The steps that every retraining ends with: its model is recorded, published, and judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from config.errors import UserError
from orchestration.retraining.checks import Check
from orchestration.retraining.gate import Champion, Limits, judge
from orchestration.retraining.handover import Run
from orchestration.retraining.product import Report
from orchestration.retraining.record import CHALLENGER, Record, Retraining
from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.store import Store
from orchestration.training.paired import Difference

SECTION = "retraining"
"""The section of a card's details that says which retraining made the model."""


class StoppedError(UserError):
    """Raised when a check stops the retraining; the result of the step is kept."""


class Gated(ABC):
    """The steps of one run, each as one function; the last two are the same for every product."""

    __slots__ = ()
    run: Run
    shelf: Path
    """The product's folder of models in use."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the name of the product's shelf."""

    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """Return the lake's tables that the rows come from; none if they come from elsewhere."""

    @abstractmethod
    def extract(self, days: int, report: Report) -> dict[str, Any]:
        """Read what is learnt from, of the window that ends at the logical date, and keep it."""

    @abstractmethod
    def validate(self) -> dict[str, Any]:
        """Check what was extracted. Raise StoppedError, naming each failed check, if one failed."""

    @abstractmethod
    def train(self, report: Report) -> dict[str, Any]:
        """Learn a model, and keep it beside what the run hands on."""

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Measure the new model and the one in use on the same held-out rows."""

    @abstractmethod
    def limits(self) -> Limits:
        """Return what the gate asks."""

    def before(self, asked: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, int]]:
        """Return what `extract` handed on for the same question, and the snapshots that it read.

        What it said of another question is dropped: rows must never lie beside what was said of
        others.
        """
        before = self.run.get("extract")
        if before is None or before["asked"] != asked:
            self.run.drop("extract")
            return None, {}
        return before, before["origin"].get("snapshots", {})

    def examined(self, checks: Sequence[Check]) -> dict[str, Any]:
        """Hand on the checks of the rows. Raise StoppedError, naming those that failed."""
        failed = [one for one in checks if not one.ok]
        done = self.run.put(
            "validate",
            {
                "ok": not failed,
                "digest": self.run.need("extract")["digest"],
                "checks": [asdict(one) for one in checks],
            },
        )
        if failed:
            words = "; ".join(f"{one.name}: {one.detail}" for one in failed)
            raise StoppedError(f"the data do not pass: {words}")
        return done

    def passed(self) -> dict[str, Any]:
        """Return what `extract` handed on. Raise StoppedError if the rows did not pass."""
        if not self.same_rows("validate")["ok"]:
            raise StoppedError(f"the data did not pass: {self.run.command('validate')}")
        return self.run.need("extract")

    def won(self, version: str) -> dict[str, Any] | None:
        """Return the evaluation of a model that has won already: what it won against stands."""
        before = self.run.get("evaluate")
        current = Store(self.shelf).current()
        return before if before and before["challenger"] == current == version else None

    def champion(self, measured: Callable[[Card, Any], dict[str, Any]]) -> dict[str, Any] | None:
        """Return the model in use with its metrics; without, and why, if it cannot be measured.

        `measured` gives the metrics of a card and its predictor, and may raise UnusableModelError.
        """
        store = Store(self.shelf)
        version = store.current()
        if version is None:
            return None
        found: dict[str, Any] = {"version": version, "metrics": None, "until": None}
        try:
            card, predictor = store.load(version)
            found["until"] = card.details.get(SECTION, {}).get("until")
            return {**found, "metrics": measured(card, predictor)}
        except UnusableModelError as error:
            return {**found, "why": str(error)}

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
                _gated(evaluate["champion"], evaluate.get("differences", {})),
                self.limits(),
                withdrawn=store.history().withdrawn(version),
            )
            done = self.run.put("promote", {**verdict.document(), "promoted": verdict.passed})
            mlflow = register["mlflow"]
            record.judged(mlflow["run"], verdict.passed, "; ".join(verdict.reasons))
            if verdict.passed:
                store.promote(version)
            record.follow(store.current())
            return done

    def same_rows(self, step: str) -> dict[str, Any]:
        """Return what a step handed on. Raise UserError if it was about other rows than today's."""
        done = self.run.need(step)
        if done.get("digest") != self.run.need("extract")["digest"]:
            raise UserError(f"the rows are others since: {self.run.command(step)}")
        return done

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
    for name, one in evaluate.get("differences", {}).items():
        metrics |= {f"difference_{name}_{part}": one[part] for part in ("point", "low", "high")}
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


def _gated(
    champion: dict[str, Any] | None, differences: dict[str, dict[str, Any]]
) -> Champion | None:
    if champion is None:
        return None
    apart = {name: Difference(**one) for name, one in differences.items()}
    return Champion(champion["version"], champion["metrics"], champion["until"], apart)
