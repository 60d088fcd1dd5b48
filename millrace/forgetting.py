"""Remove a person from all that is kept, and say what remains where, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from config.clock import now_ms
from config.errors import RetryableError, UserError
from config.files import locked
from config.settings import Settings
from config.topics import topics
from domain.features.declaration import FeatureSet
from domain.fraud.catalogue import CUSTOMER, TERMINAL
from ingestion.persons import SHORT, topics_of
from millrace import apart
from millrace.stack.layout import Layout
from millrace.unlisting import TOPIC, unlisted
from orchestration.retraining.handover import FRAME, ITEMS, LOCK

_REDIS = "serving.fraud.forgetting"
_WHO = "_customer"
_RETRY_S = 600
PATIENCE_S = 600.0
"""How long somebody is waited for who may have read the customer."""
_LEAST_IDLE = timedelta(days=30)
_COMPACTED = timedelta(days=30)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left somewhere: `until` is when it goes by itself, as ISO 8601; None: it does not."""

    where: str
    what: str
    until: str | None


@dataclass
class Forgotten:
    """What was removed, what could not be, and what remains."""

    customer_id: str
    redis: dict[str, Any] | None = None
    lists: int | None = None
    lake: list[dict[str, Any]] = field(default_factory=list)
    lake_reached: bool = False
    frames: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    remains: list[Remains] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def forget(
    settings: Settings,
    customer: str,
    report: Report = lambda _: None,
    redis: Callable[[str], dict[str, Any]] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Forgotten:
    """Remove a customer from Redis, the lists of entities, the lake and the training sets.

    Parts that are away are told as failed: typed again, the command goes on where it ended.
    """
    done = Forgotten(customer)
    report("Redis")
    try:
        done.redis = (redis or from_redis)(customer)
    except RetryableError as error:
        done.failed.append(str(error))
    report("lists")
    try:
        done.lists = unlisted(settings, customer)
    except RetryableError as error:
        done.failed.append(f"lists: {error}")
    report("lake")
    _from_lake(settings, done, now())
    report("training sets")
    removed, unread = frames(Layout.of(settings).retraining, customer)
    done.frames = [str(path) for path in removed]
    done.failed += unread
    done.remains = remains(settings, done, now())
    return done


def from_redis(customer: str) -> dict[str, Any]:
    """Remove a customer's decisions, in a process that knows their keys.

    Raise RetryableError, with its words, if it fails.
    """
    found: dict[str, Any] = apart.answer("Redis", _REDIS, customer, within_s=_RETRY_S)
    return found


def _from_lake(settings: Settings, done: Forgotten, now: datetime) -> None:
    try:
        from lakehouse.catalog import catalog
        from lakehouse.locks import backfills, builds
        from lakehouse.persons import left, removed
        from lakehouse.reading import tables

        lake, every = catalog(settings), topics()
        done.lake_reached = bool(tables(lake))
        # Whoever has read rows before they go must not write what it made of them afterwards.
        with (
            _awaited(builds(settings), "a build of the marts"),
            _awaited(backfills(settings), "a backfill or a handover"),
        ):
            try:
                for one in removed(lake, done.customer_id, every, now, lambda: _marts(settings)):
                    done.lake.append(one.as_dict())
            finally:
                # Where it failed half-way, too.
                still = left(lake, done.customer_id, every)
        done.failed += [
            f"{one['table']}: {one['stuck']} files could not be removed"
            for one in done.lake
            if one["stuck"]
        ]
        done.failed += [
            f"{name} has the customer still, or again: a tag keeps it, or new records have come"
            for name in still
        ]
    except ModuleNotFoundError as error:
        if settings.lake_catalog_uri or (settings.state_dir / "lake").exists():
            done.failed.append(f"lake: its libraries are not installed ({error.name})")
    except (RetryableError, UserError) as error:
        done.failed.append(f"lake: {error}")
    except Exception as error:
        # Whatever the catalog's library raises: what else is kept must go all the same.
        done.failed.append(f"lake: {error!r}")


@contextmanager
def _awaited(lock: Path, who: str) -> Iterator[None]:
    """Hold a lock. Raise RetryableError, saying who has it, if it is not free in time."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock, within_s=PATIENCE_S))
        except BlockingIOError:
            raise RetryableError(
                f"{who} is still at work after {PATIENCE_S:g} s: type it again when it has ended"
            ) from None
        yield


def _marts(settings: Settings) -> None:
    """Make silver and gold anew: sums must not hold what no row says any more."""
    from lakehouse.marts.run import build

    # Without its tests: one that fails says nothing of the person, and would keep their past.
    done = build(settings, now_ms(), full_refresh=True, test=False, held=True)
    if done.failed:
        raise UserError("the marts could not be made anew: `millrace marts build --full-refresh`")


def frames(retraining: Path, customer: str) -> tuple[list[Path], list[str]]:
    """Remove the training frames that hold a customer; return them, and what cannot be read.

    A step that is at work on a run is waited for; one that takes too long is told among these.
    What a killed one left of a frame goes unread. With its frame a run loses what `extract` said of
    it: the snapshots named there are gone, and it is read from the newest, `millrace retrain
    extract`.
    """
    removed, failed = list[Path](), list[str]()
    for folder in sorted(path for path in retraining.glob("*/*") if path.is_dir()):
        try:
            with _awaited(folder / LOCK, f"a step of the retraining in {folder}"):
                removed += _drafts(folder)
                removed += _of_run(folder, customer)
        except (RetryableError, UserError) as error:
            failed.append(str(error))
    return removed, failed


def _drafts(folder: Path) -> list[Path]:
    found = list(folder.glob(f".*{FRAME}"))
    for draft in found:
        draft.unlink()
    return found


def _of_run(folder: Path, customer: str) -> list[Path]:
    """Remove a run's frame if it holds the customer. Raise UserError if it cannot be read."""
    frame = folder / FRAME
    if not frame.exists():
        return []
    try:
        if pq.read_schema(frame).names == [ITEMS]:
            return []  # it names no person
        who = pq.read_table(frame, columns=[_WHO])[_WHO]
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise UserError(f"{frame}: {' '.join(str(error).split())}") from error
    if customer not in set(who.to_pylist()):
        return []
    frame.unlink()
    (folder / "extract.json").unlink(missing_ok=True)
    return [frame]


def remains(settings: Settings, done: Forgotten, now: datetime) -> list[Remains]:
    """Return what nobody can take back, or only by hand, and until when it stays."""

    def after(**span: float) -> str:
        return (now + timedelta(**span)).isoformat(timespec="seconds")

    kept: dict[str | None, list[str]] = {}
    for topic in [*topics_of(topics()), topics()["quarantine"]]:
        until = None if topic.compact else after(hours=topic.retention_hours)
        kept.setdefault(until, []).append(topic.name)
    found = [
        Remains(
            f"Kafka, {', '.join(names)}",
            "records; a segment goes when its newest record is that old",
            until,
        )
        for until, names in kept.items()
    ]
    idle = max(_idle(CUSTOMER), _LEAST_IDLE) + _COMPACTED
    found += [
        Remains(
            "Flink, state of fraud_features and its checkpoints",
            "id, sums and times, if no payment comes any more; made anew by a handover, "
            "`millrace backfill fraud-features --from DATE --hand-over`",
            after(seconds=idle.total_seconds()),
        ),
        Remains(
            "Flink, state of the terminals",
            "a hash of 32 bits of the id for each day, and the customer's part in sums; as above",
            after(seconds=(max(_idle(TERMINAL), _LEAST_IDLE) + _COMPACTED).total_seconds()),
        ),
        Remains("Flink, savepoints", str(Layout.of(settings).savepoints), None),
        Remains("rejected rows of files", f"{settings.state_dir / 'rejected'}, not searched", None),
        Remains("the shop", "who has a user_id there, another identity", None),
        Remains("models, and their runs in MLflow", "trees and figures, no row of anybody", None),
        Remains("backups and copies that were taken of any of it", "not known here", None),
    ]
    if len(done.customer_id.encode()) < SHORT:
        found.append(
            Remains(
                "the lake, bronze.quarantine",
                "records whose value alone has an id as short: it could stand there by chance",
                None,
            )
        )
    if done.lake_reached:
        found.append(
            Remains(
                "the lake, records that its job has read and not committed",
                "type it again then; so too if the lake is filled from Kafka anew",
                after(seconds=2 * settings.lake_commit_seconds),
            )
        )
    for one in done.lake:
        for name in one["kept_by"]:
            found.append(Remains(f"the lake, {one['table']}", f"what {name} keeps", None))
    if done.lists:
        found.append(Remains(f"Kafka, {TOPIC}", "what was removed, until it is compacted", None))
    if done.redis is not None and done.redis["file_rewritten"] is False:
        found.append(Remains("Redis, its file", "until it is rewritten: BGREWRITEAOF", None))
    return found


def _idle(declared: FeatureSet) -> timedelta:
    """Return how long state stays that no row writes (docs/rolling.md)."""
    span = max(one.tile_ms * one.tiles for one in declared.windows)
    return timedelta(milliseconds=declared.keep_idle_ms or 3 * span)
