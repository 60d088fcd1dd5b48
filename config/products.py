"""Load the products that `products.yaml` and the products outside this repository declare.

A product is a slice through the layers: jobs, consumers, routes and features under one name, in a
group that can be left out. Products outside come from the folders of `MILLRACE_PRODUCTS_PATH` and
from installed packages with an entry point in `millrace.products`; each is one `product.yaml`
beside its `topics.yaml` and `schema/*.avsc` (docs/your-own.md).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.errors import UserError
from config.files import mapping
from config.settings import ROOT, Settings, settings

FILE = Path(__file__).parent / "products.yaml"
OUTSIDE_FILE = "product.yaml"
ENTRY_POINTS = "millrace.products"
CORE = "core"
_NAME = r"^[a-z][a-z0-9_]*$"
_MODULE = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


@dataclass(frozen=True, slots=True)
class Job:
    """A topology for `flink run`: `module` lies below `root`, which goes on Python's path.

    With `start`, the job does not resume from Flink's state. `options(settings)` of that module
    returns at each submission the Flink options by which the job knows where to go on.
    """

    name: str
    module: str
    root: Path
    start: str | None = None

    @property
    def file(self) -> Path:
        """Return the job's Python file."""
        return self.root.joinpath(*self.module.split(".")).with_suffix(".py")


@dataclass(frozen=True, slots=True)
class Consumer:
    """A process that reads topics; `port` serves its health and metrics before any offset.

    `memory`: the most it should need, in MiB.
    """

    name: str
    module: str
    port: int
    memory: int = 384


@dataclass(frozen=True, slots=True)
class Product:
    """One product.

    Its modules are importable with `root` on Python's path; `routes` and `features` are names of
    modules. `folder` is where it is declared: one outside keeps its contracts (`schema/*.avsc`) and
    its `topics.yaml` there.
    """

    name: str
    group: str
    folder: Path
    root: Path
    jobs: tuple[Job, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    routes: tuple[str, ...] = ()
    features: str | None = None
    setup: str | None = None
    also: tuple[str, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        """Return the groups any of which brings the product with it."""
        return frozenset((self.group, *self.also))

    @property
    def outside(self) -> bool:
        """Return whether it lives outside this repository."""
        return self.root != ROOT

    def load(self, module: str) -> ModuleType:
        """Import one of its modules. Raise UserError if there is no such module."""
        if str(self.root) not in sys.path:
            sys.path.append(str(self.root))
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise UserError(f"product {self.name}: no module {module} in {self.root}") from None


class _Consumer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    module: str = Field(pattern=_MODULE)
    port: int = Field(ge=1024, le=65535)
    memory: int = Field(default=384, ge=64)


class _Job(BaseModel):
    model_config = ConfigDict(extra="forbid")

    module: str = Field(pattern=_MODULE)
    start: str | None = Field(default=None, pattern=_MODULE)


class _Declared(BaseModel):
    """A product as written in its file."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=_NAME)
    group: str = Field(pattern=_NAME)
    features: str | None = Field(default=None, pattern=_MODULE)
    setup: str | None = Field(default=None, pattern=_NAME)
    also: list[str] = []
    jobs: list[str | _Job] = []
    consumers: dict[str, _Consumer] = {}
    routes: list[str] = []

    def product(self, folder: Path, root: Path) -> Product:
        return Product(
            name=self.name,
            group=self.group,
            folder=folder,
            root=root,
            jobs=tuple(_job(one, root) for one in self.jobs),
            consumers=tuple(
                Consumer(name, one.module, one.port, one.memory)
                for name, one in self.consumers.items()
            ),
            routes=tuple(self.routes),
            features=self.features,
            setup=self.setup,
            also=tuple(self.also),
        )


def _job(declared: str | _Job, root: Path) -> Job:
    module, start = (
        (declared, None) if isinstance(declared, str) else (declared.module, declared.start)
    )
    return Job(module.rpartition(".")[2], module, root, start)


def products(loaded: Settings | None = None) -> tuple[Product, ...]:
    """Return every product, those of this repository first, whether its group is enabled or not.

    Raise UserError for an invalid declaration, and for two that claim one name or port.
    """
    return _all(FILE, (loaded or settings()).products_path)


def running(loaded: Settings | None = None) -> tuple[Product, ...]:
    """Return the products whose group is enabled. Raise UserError as `products` and `groups` do."""
    loaded = loaded or settings()
    chosen = groups(loaded)
    return tuple(product for product in products(loaded) if product.groups & chosen)


def known_groups(loaded: Settings | None = None) -> dict[str, bool]:
    """Return every group, and whether it is enabled by default.

    The group of a product outside is enabled: naming its folder asks for it.
    """
    own = _own(FILE)[0]
    return own | {one.group: True for one in products(loaded) if one.group not in own}


def groups(loaded: Settings | None = None) -> frozenset[str]:
    """Return the enabled groups. Raise UserError for one that does not exist."""
    loaded = loaded or settings()
    known = known_groups(loaded)
    given = [name.strip() for name in loaded.groups.split(",") if name.strip()]
    if unknown := [name for name in given if name not in known]:
        raise UserError(
            f"MILLRACE_GROUPS: no group named {', '.join(unknown)}; there are: {', '.join(known)}"
        )
    return frozenset(given or (name for name, on in known.items() if on))


def with_groups(loaded: Settings, names: Iterable[str]) -> Settings:
    """Return the settings with these groups enabled too. Raise UserError for an unknown one."""
    more = list(names)
    if not more:
        return loaded
    wider = loaded.model_copy(update={"groups": ",".join(sorted(groups(loaded).union(more)))})
    groups(wider)
    return wider


def jobs(loaded: Settings | None = None) -> dict[str, Job]:
    """Return every job by name, those of disabled groups too."""
    return {job.name: job for product in products(loaded) for job in product.jobs}


def running_jobs(loaded: Settings | None = None) -> tuple[str, ...]:
    """Return the names of the jobs that should run: those of the enabled groups."""
    return tuple(job.name for product in running(loaded) for job in product.jobs)


def setups(loaded: Settings | None = None) -> tuple[str, ...]:
    """Return what the running products need of `scripts/setup.sh --with`."""
    named = (product.setup for product in running(loaded))
    return tuple(dict.fromkeys(name for name in named if name is not None))


def consumers(loaded: Settings | None = None) -> dict[str, Consumer]:
    """Return every consumer by name, those of disabled groups too."""
    return {one.name: one for product in products(loaded) for one in product.consumers}


def feature_modules(loaded: Settings | None = None) -> tuple[ModuleType, ...]:
    """Return the modules in which products declare their feature tables, imported."""
    return tuple(
        product.load(product.features)
        for product in products(loaded)
        if product.features is not None
    )


@lru_cache(maxsize=8)
def _all(file: Path, path: str) -> tuple[Product, ...]:
    found = (*_own(file)[1], *_in_folders(path), *_installed())
    _refuse_twins("product", ((one.name, _place(one)) for one in found))
    _refuse_twins("job", ((job.name, _place(one)) for one in found for job in one.jobs))
    consumers = [(consumer, _place(one)) for one in found for consumer in one.consumers]
    _refuse_twins("consumer", ((consumer.name, place) for consumer, place in consumers))
    # Flink commits offsets without joining the group: the broker refuses it where others have.
    named = [(job.name, f"job {job.name} of {_place(one)}") for one in found for job in one.jobs]
    named += [(consumer.name, f"consumer {consumer.name} of {at}") for consumer, at in consumers]
    _refuse_twins("Kafka group", ((f"millrace-{name}", holder) for name, holder in named))
    _refuse_twins(
        "port",
        ((str(consumer.port), f"consumer {consumer.name} of {at}") for consumer, at in consumers),
    )
    return found


def _place(product: Product) -> str:
    return f"product {product.name} ({product.folder})"


def _refuse_twins(what: str, claims: Iterable[tuple[str, str]]) -> None:
    """Raise UserError for a name that is claimed twice, naming both claimants."""
    claimed = list(claims)
    for name, times in Counter(name for name, _ in claimed).items():
        if times > 1:
            holders = " and ".join(holder for other, holder in claimed if other == name)
            raise UserError(f"{what} {name} is claimed twice: by {holders}")


@lru_cache(maxsize=8)
def _own(file: Path) -> tuple[dict[str, bool], tuple[Product, ...]]:
    """Return the groups and the products of this repository."""
    declared = mapping(file)
    known: dict[str, bool] = declared["groups"]
    found = tuple(
        _parsed(file, {"name": name, **body}).product(file.parent, ROOT)
        for name, body in declared["products"].items()
    )
    for product in found:
        if unknown := sorted(product.groups - set(known)):
            raise UserError(
                f"{file}: product {product.name} is of group {', '.join(unknown)}; "
                f"there are: {', '.join(known)}"
            )
    return known, found


def _in_folders(path: str) -> Iterator[Product]:
    for text in path.split(os.pathsep):
        if text.strip():
            folder = (ROOT / Path(text.strip()).expanduser()).resolve()
            yield _outside(folder, folder)


def _installed() -> Iterator[Product]:
    """Yield products of installed packages: an entry point's value is the package's name."""
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        spec = find_spec(point.value)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"entry point {point.name} of {ENTRY_POINTS}: no package {point.value}")
        folder = Path(spec.submodule_search_locations[0])
        yield _outside(folder, folder.parents[point.value.count(".")])


def _outside(folder: Path, root: Path) -> Product:
    return _parsed(folder / OUTSIDE_FILE, mapping(folder / OUTSIDE_FILE)).product(folder, root)


def _parsed(file: Path, body: dict[str, Any]) -> _Declared:
    try:
        return _Declared.model_validate(body)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise UserError(f"{file}: product {body.get('name', '')}: {wrong}") from None
