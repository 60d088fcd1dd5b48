"""Refresh the order of recommendations: sessions out of the lake, trees, and a gate.

The steps are those of every retraining (docs/decisions/0020). The last tenth of the sessions is
held out: each of its prefixes is a question, and the index that answers holds the sessions before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.recommendations.baselines import Neighbours, Ordered
from orchestration.recommendations.engine.reranking import FEATURE_SET, FEATURES
from orchestration.recommendations.engine.trees import Trees, trees_of
from orchestration.recommendations.engine.weights import TUNED
from orchestration.recommendations.evaluation import measure
from orchestration.recommendations.ranking import learn
from orchestration.recommendations.sessions import Log, Session, split
from orchestration.retraining.checks import Check
from orchestration.retraining.gate import Limits
from orchestration.retraining.gated import Gated
from orchestration.retraining.handover import ITEMS, Run
from orchestration.retraining.lake import Ask, moment
from orchestration.retraining.product import Report
from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.store import Store
from orchestration.training.metrics import DAY_MS

NAME, TABLE = "recommender", "bronze.sessions"
HELD_OUT = "last:0.1"
COMPARED = ("hit_rate", "reciprocal_rank")


@dataclass(frozen=True, slots=True)
class Refresh(Gated):
    """The steps of one run. `shelf` is the recommender's folder of models in use.

    `where` is the folder of the lake's files, by which two lakes differ. The gate asks for
    `questions` held out, and for measures at most `worse_by` below those of the model in use.
    """

    run: Run
    shelf: Path
    where: str
    ask: Ask
    questions: int
    worse_by: float

    @property
    def name(self) -> str:
        """Return the name of the shelf."""
        return NAME

    def tables(self) -> tuple[str, ...]:
        """Return the table of the lake that the sessions come from."""
        return (TABLE,)

    def limits(self) -> Limits:
        """Return what the gate asks: not to be worse than the neighbours' own order, either."""
        plain = self.run.need("evaluate")["without"]
        return Limits(
            {"questions": self.questions},
            dict.fromkeys(COMPARED, self.worse_by),
            {name: plain[name] for name in COMPARED},
        )

    def extract(self, days: int, report: Report) -> dict[str, Any]:
        """Read the sessions of the window that ends at the logical date, and keep them."""
        with self.run.locked():
            begin, until = self.run.at_ms - days * DAY_MS, self.run.at_ms
            asked = {"lake": self.where, "begin": begin, "until": until}
            before, pinned = self.before(asked)
            if before is not None and self.run.has_rows():
                return before
            told = report("reading", None)
            answer = self.ask(_query(begin, until), (TABLE,), pinned)
            sessions: list[Session] = answer.rows[ITEMS].to_pylist()
            told(len(sessions))
            self.run.put_rows(_table(sessions))
            return self.run.put(
                "extract",
                {
                    "product": self.name,
                    "at": self.run.at.isoformat(),
                    "asked": asked,
                    "sessions": len(sessions),
                    "digest": _digest(sessions),
                    "origin": {"source": TABLE, "snapshots": dict(answer.snapshots)},
                },
            )

    def validate(self) -> dict[str, Any]:
        """Check the sessions. Raise StoppedError, naming each failed check, if one failed."""
        with self.run.locked():
            self.run.need("extract")
            count = len(Log(self._sessions())) // 10
            words = f"about {count} questions to hold out, at least {self.questions}"
            return self.examined([Check("questions", count >= self.questions, words)])

    def train(self, report: Report) -> dict[str, Any]:
        """Learn an order from all sessions but those held out."""
        with self.run.locked():
            extract = self.passed()
            known, _ = split(Log(self._sessions()), HELD_OUT)
            learnt = learn(known.sessions, progress=report("sessions", len(known.sessions)))
            origin = {**extract["origin"], "digest": extract["digest"]}
            card = learnt.publish(self.run.candidate, origin)
            return self.run.put(
                "train",
                {
                    "version": card.version,
                    "digest": extract["digest"],
                    "features": len(card.features),
                    "files": dict(card.files),
                    "questions": learnt.questions,
                },
            )

    def evaluate(self) -> dict[str, Any]:
        """Measure the new order, the one in use and none at all on the same questions."""
        with self.run.locked():
            version = self.same_rows("train")["version"]
            if (before := self.won(version)) is not None:
                return before
            known, asked = split(Log(self._sessions()), HELD_OUT)

            def measured(trees: Trees | None) -> dict[str, float]:
                method = Neighbours(TUNED) if trees is None else Ordered(trees)
                found = measure("", method, known, asked)
                counts = {"questions": float(found.questions)}
                return counts | {name: getattr(found, name) for name in (*COMPARED, "coverage")}

            return self.run.put(
                "evaluate",
                {
                    "challenger": version,
                    "metrics": measured(_trees(*Store(self.run.candidate).load(version))),
                    "without": measured(None),
                    "champion": self.champion(lambda *model: measured(_trees(*model))),
                },
            )

    def _sessions(self) -> list[Session]:
        found: list[Session] = self.run.rows()[ITEMS].to_pylist()
        return found


def _trees(card: Card, predictor: Any) -> Trees:
    if (card.feature_set_version, card.features) != (FEATURE_SET, FEATURES):
        raise UnusableModelError(f"{card.version} was learnt from {card.feature_set_version}")
    return trees_of(predictor.dump())


def _query(begin: int, until: int) -> str:
    """Return the question: each session as it stood at the end of the window, in order of start.

    Of the records of a session the one with the most clicks is the newest. One that has merged
    into another, and a click too late for any, have no items.
    """
    return f"""
    with told as (
      select session_id, started, items, row_number() over (
        partition by session_id order by clicks desc, _partition desc, _offset desc) as place
      from {TABLE}
      where event_time < {moment(until)}
    )
    select items from told
    where place = 1 and len(items) > 0 and started >= {moment(begin)}
    order by started, session_id
    """  # noqa: S608  (numbers and names of ours)


def _table(sessions: Sequence[Session]) -> pa.Table:
    return pa.table({ITEMS: pa.array(sessions, pa.list_(pa.string()))})


def _digest(sessions: Sequence[Session]) -> str:
    return hashlib.sha256(json.dumps(sessions).encode()).hexdigest()
