"""Tell Flink's Python environment about products outside this repository."""

from __future__ import annotations

import os

from config.products import Product, products
from config.settings import ROOT, Settings
from millrace.stack.layout import Layout


def environment(settings: Settings) -> dict[str, str]:
    """Return `PYTHONPATH` and `MILLRACE_PRODUCTS_PATH` of a process in the Flink environment.

    A package installed in the application's environment is not installed there, and its folder
    holds libraries of other versions, so only a link to the package itself goes on the path.
    """
    outside = [product for product in products(settings) if product.outside]
    paths = [ROOT, *dict.fromkeys(_root(settings, product) for product in outside)]
    folders = dict.fromkeys(product.folder for product in outside)
    return {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "MILLRACE_PRODUCTS_PATH": os.pathsep.join(map(str, folders)),
    }


def _root(settings: Settings, product: Product) -> str:
    if product.root == product.folder:
        return str(product.root)
    top = product.folder.relative_to(product.root).parts[0]
    links = Layout.of(settings).state / "flink" / "packages"
    links.mkdir(parents=True, exist_ok=True)
    link = links / top
    if not link.is_symlink() or link.readlink() != product.root / top:
        making = links / f".{top}.{os.getpid()}"
        making.unlink(missing_ok=True)
        making.symlink_to(product.root / top)
        making.replace(link)
    return str(links)
