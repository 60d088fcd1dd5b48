"""The specification holds the kernel: domain/shop/sessions.py and real Flink, record by record.

The same random clicks go through both; rolling_job.py runs the Flink jobs. A failure names the
seed; MILLRACE_SEED=<seed> draws the same again.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from domain.events import ShopEvent
from domain.shop.sessions import SESSIONS, Sessionization, Sessions
from tests.integration.flink_home import run_script
from tests.integration.rolling_runs import SEEDS

VISITORS, CLICKS = 60, 4_000
START = 1_700_000_000_000
GIVEN = ("user_id", "event_id", "item_id", "event_type")
COLUMNS = [["n", "BIGINT"], ["millis", "BIGINT"], *([name, "STRING"] for name in GIVEN)]
COMPUTED = [["event_time", "TO_TIMESTAMP_LTZ(millis, 3)"]]
TOLD = ("session_id", "newest", "started", "clicks", "items", "actions", "merged_into", "late")
SMALL = Sessionization(
    gap_ms=1_000, horizon_ms=20_000, items=5, text_bytes=120, keep_idle_ms=86_400_000
)
DECLARED = {"shop": SESSIONS, "small": SMALL}
Told = tuple[Any, ...]


def _clicks(declared: Sessionization, seed: int) -> Iterator[ShopEvent]:
    """Draw visitors' clicks around the gap and the horizon, out of order, some of them again."""
    chance = random.Random(seed)
    gap = declared.gap_ms
    now: dict[str, int] = {}
    sent: dict[str, list[ShopEvent]] = defaultdict(list)
    for number in range(CLICKS):
        # A third of the visitors has most of the clicks.
        user = f"v{int(VISITORS * chance.random() ** 2)}é"
        if sent[user] and chance.random() < 0.1:
            again = chance.choice(sent[user][-12:])
            yield replace(again, item_id=chance.choice((again.item_id, "another")))
            continue
        steps = (0, 1, gap // 9, gap // 3, gap, gap + 1, 2 * gap + 1)
        # The busiest visitor never leaves, so that a session outgrows what is kept of it.
        rare = 0 if user == "v0é" else 1
        (step,) = chance.choices(steps, (4, 4, 12, 12, 4, rare, rare))
        now[user] = now.get(user, START) + step
        back = chance.choice((0, 0, 0, gap // 2, gap, 3 * gap, declared.horizon_ms, 10**8))
        made = ShopEvent(
            event_id=chance.choice((f"e{number}", f"é-{number}-" + "x" * 40)),
            event_type=chance.choice(("view", "view", "addtocart", "transaction", "größer", "")),
            event_time=now[user] - int(back * chance.choice((1, chance.random()))),
            user_id=user,
            item_id=chance.choice(("1", f"item-{number}", "ü" * 30, "i" * chance.randrange(1, 90))),
        )
        sent[user].append(made)
        yield made


@dataclass(frozen=True)
class Run:
    """A stream of clicks under one declaration, and what the specification makes of it."""

    name: str
    declared: Sessionization
    seed: int

    @cached_property
    def clicks(self) -> list[ShopEvent]:
        return list(_clicks(self.declared, self.seed))

    @cached_property
    def expected(self) -> dict[int, list[Told]]:
        twin = Sessions(self.declared)
        answers = ([_told(one) for one in twin.click(click)] for click in self.clicks)
        return {n: answer for n, answer in enumerate(answers) if answer}

    def job(self, folder: Path) -> dict[str, Any]:
        rows = (self._row(n) for n in range(len(self.clicks)))
        path = folder / f"{self.name}.json"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return self._made(folder) | {"input": str(path)}

    def job_in_halves(self, folder: Path) -> dict[str, Any]:
        middle = len(self.clicks) // 2
        (folder / "in").mkdir()
        for path, rows in (
            (folder / "in" / "first.json", range(middle)),
            (folder / "later.json", range(middle, len(self.clicks))),
        ):
            path.write_text("\n".join(map(self._row, rows)) + "\n", encoding="utf-8")
        before = sum(len(answer) for n, answer in self.expected.items() if n < middle)
        lines = [before, sum(map(len, self.expected.values()))]
        return self._made(folder) | {
            "input": str(folder / "in"),
            "later": str(folder / "later.json"),
            "lines": lines,
        }

    def _row(self, n: int) -> str:
        click = self.clicks[n]
        given = {name: getattr(click, name) for name in GIVEN}
        return json.dumps({"n": n, "millis": click.event_time, **given}, ensure_ascii=False)

    def _made(self, folder: Path) -> dict[str, Any]:
        return {
            "name": self.name,
            "output": str(folder / f"{self.name}.out"),
            "columns": COLUMNS,
            "computed": COMPUTED,
            "steps": [
                {"function": "sessionize", "spec": self.declared.spec(), "key": ["user_id"]},
            ],
            "select": ["`n`", *(f"`{name}`" for name in TOLD)],
        }

    def got(self, folder: Path) -> dict[int, list[Told]]:
        """Return what the kernel told of each click, in the order it told it."""
        found: dict[int, list[Told]] = defaultdict(list)
        for part in sorted((folder / f"{self.name}.out").rglob("*")):
            if part.is_file() and not part.name.startswith((".", "_")):
                for line in part.read_text(encoding="utf-8").splitlines():
                    row = json.loads(line)
                    found[row["n"]].append(tuple(_plain(row[name]) for name in TOLD))
        return dict(found)

    def agrees(self, folder: Path) -> None:
        got = self.got(folder)
        wrong = [
            f"MILLRACE_SEED={self.seed}, {self.name}, click {n}: specified "
            f"{self.expected.get(n)}, kernel {got.get(n)}"
            for n in sorted(self.expected.keys() | got.keys())
            if self.expected.get(n) != got.get(n)
        ]
        assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:10]])


def _told(record: Any) -> Told:
    names = {"newest": "event_time"}
    return tuple(_plain(getattr(record, names.get(name, name))) for name in TOLD)


def _plain(value: Any) -> Any:
    """Return lists as tuples, and a printed time in milliseconds."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and value[:2] == "20" and value.endswith("Z"):
        return round(datetime.fromisoformat(value).timestamp() * 1000)
    return value


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [
        Run(f"{name}_{seed}", declared, seed)
        for seed in SEEDS
        for name, declared in DECLARED.items()
    ]


@pytest.fixture(scope="module")
def folder(runs: Sequence[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all at one subtask, and the last run again, stopped halfway and resumed at two."""
    folder = tmp_path_factory.mktemp("sessions")
    for name in ("whole", "halves"):
        (folder / name).mkdir()
    halves = {
        "parallelism": 1,
        "resumed": 2,
        "savepoints": str(folder / "savepoints"),
        "runs": [runs[-1].job_in_halves(folder / "halves")],
    }
    whole = {"parallelism": 1, "runs": [run.job(folder / "whole") for run in runs]}
    (folder / "jobs.json").write_text(json.dumps({"jobs": [halves, whole]}))
    # Heads of few visitors fit on the heap, so that others are read from RocksDB.
    run_script("rolling_job.py", folder / "jobs.json", heads=20_000)
    return folder


def test_every_record_agrees(runs: Sequence[Run], folder: Path) -> None:
    for run in runs:
        run.agrees(folder / "whole")


def test_a_job_resumed_from_a_savepoint_goes_on_as_if_never_stopped(
    runs: Sequence[Run], folder: Path
) -> None:
    runs[-1].agrees(folder / "halves")


def test_the_streams_hold_what_breaks_things(runs: Sequence[Run]) -> None:
    """Late and repeated clicks, merges, cut sessions: a comparison of nothing would agree too."""
    for run in runs[:2]:
        few = 1 if run.declared.items > 9 else 100
        told = [dict(zip(TOLD, one, strict=True)) for many in run.expected.values() for one in many]
        assert len(run.clicks) - len(run.expected) > 100, "repetitions"
        assert sum(one["late"] for one in told) > 100
        assert sum(one["merged_into"] is not None for one in told) > 100
        assert sum(one["clicks"] > len(one["items"]) > 0 for one in told) >= few
        assert Counter(len(many) for many in run.expected.values())[2] > 100
