"""Run the dbt project in this process, and tell what became of each of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from pyiceberg.catalog import Catalog

from config.errors import RetryableError, UserError
from config.files import locked, mapping
from config.settings import Settings
from lakehouse.catalog import catalog
from lakehouse.locks import builds
from lakehouse.marts.plugin import Plugin
from lakehouse.marts.writing import RUN
from lakehouse.positions import told
from lakehouse.reading import tables

PROJECT = Path(__file__).parent.parent / "dbt_project"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Node:
    """What became of one node of the project: a model, a test, a source."""

    name: str
    kind: str
    status: str
    seconds: float
    detail: str = ""

    @property
    def failed(self) -> bool:
        """Return whether it went wrong; a warning has not."""
        return self.status in ("error", "fail", "runtime error")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: its number, its nodes, and the sources that are not there yet."""

    run: int
    nodes: tuple[Node, ...]
    missing: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Return whether any node went wrong."""
        return any(one.failed for one in self.nodes)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON types."""
        return {**asdict(self), "failed": self.failed}


def build(
    current: Settings,
    now_ms: int,
    *,
    select: str | None = None,
    full_refresh: bool = False,
    test: bool = True,
    held: bool = False,
    report: Report = lambda _: None,
) -> Outcome:
    """Bring silver and gold up to date with bronze, and test them unless `test` is false.

    Models whose source nobody has written yet are left out. `report` is told the name of each node
    that is done; `held`: the caller has the lock of builds. Raise RetryableError while another
    build runs, UserError for a `select` that dbt does not take.
    """
    with nullcontext() if held else _alone(current):
        lake = catalog(current)
        run, missing = max(now_ms, _last_run(lake) + 1), _missing(lake)
        Plugin.run = run
        line = ["build" if test else "run", *(["--full-refresh"] if full_refresh else [])]
        if select is not None:
            line += ["--select", select]
        for one in missing:
            line += ["--exclude", f"source:{one}+"]
        return Outcome(run, _nodes(_dbt(current, line, report)), missing)


def freshness(current: Settings, report: Report = lambda _: None) -> Outcome:
    """Say how old the newest row of each source is. Raise as `build` does."""
    missing = _missing(catalog(current))
    line = ["source", "freshness", "--output", str(_folder(current) / "sources.json")]
    for one in missing:
        line += ["--exclude", f"source:{one}"]
    return Outcome(0, _nodes(_dbt(current, line, report)), missing)


def docs(current: Settings, report: Report = lambda _: None) -> Path:
    """Write the project's documentation and return its one page. Raise as `build` does."""
    _dbt(current, ["docs", "generate", "--static"], report)
    return _folder(current) / "static_index.html"


def _folder(current: Settings) -> Path:
    return current.state_dir / "lake" / "dbt"


@contextmanager
def _alone(current: Settings) -> Iterator[None]:
    """Hold the lock of builds: two at once would take each other's rows for their own."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(builds(current), within_s=0))
        except BlockingIOError:
            raise RetryableError("another build of the marts is running") from None
        yield


def _last_run(lake: Catalog) -> int:
    """Return the greatest number of a run that a table remembers; 0 if none does."""
    found = [0]
    for name in tables(lake):
        if not name.startswith("bronze."):
            for one in lake.load_table(name).metadata.snapshots:
                found.append(int(told(one).get(RUN, 0)))
    return max(found)


def _missing(lake: Catalog) -> tuple[str, ...]:
    """Return the declared sources that the lake does not have."""
    declared = mapping(PROJECT / "models" / "sources.yml")["sources"]
    wanted = {f"{group['name']}.{one['name']}" for group in declared for one in group["tables"]}
    return tuple(sorted(wanted - set(tables(lake))))


def _dbt(current: Settings, line: list[str], report: Report) -> Any:
    """Run dbt and return its result. Raise UserError for what it cannot even begin."""
    folder = str(_folder(current))

    def heard(event: Any) -> None:
        if event.info.name == "NodeFinished":
            report(event.data.node_info.node_name)

    common = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    common += ["--target-path", folder, "--log-path", folder, "--log-level", "none"]
    common += ["--log-level-file", "none"]
    try:
        ended = dbtRunner(callbacks=[heard]).invoke([*line, *common])
    finally:
        # Else the next run in this process would see the lake as it is now.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if ended.exception is not None or ended.result is None:
        words = " ".join(str(ended.exception or "dbt did nothing").split())
        raise UserError(f"dbt: {words}")
    return ended.result


def _nodes(result: Any) -> tuple[Node, ...]:
    return tuple(
        Node(
            name=one.node.name if one.node.resource_type != "source" else _source(one.node),
            kind=str(one.node.resource_type),
            status=str(one.status),
            seconds=round(float(one.execution_time or 0), 2),
            detail=_detail(one),
        )
        for one in result.results
    )


def _detail(one: Any) -> str:
    if (newest := getattr(one, "max_loaded_at", None)) is not None:
        return f"newest row {newest:%Y-%m-%d %H:%M:%S}, {one.age / 3600:.1f} h ago"
    return " ".join(str(getattr(one, "message", None) or "").split())


def _source(node: Any) -> str:
    return f"{node.source_name}.{node.name}"
