"""`millrace`: the commands, each group in a module of its own beside this one."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

import millrace.cli
from config.errors import RetryableError, UserError

app = typer.Typer(
    name="millrace",
    help="Stateful stream processing: events in, decisions out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def build() -> typer.Typer:
    """The whole application.

    A module beside this one exports `register(app)` (commands of its own) or `app` (a group named like the module).
    """
    for name in sorted(module.name for module in pkgutil.iter_modules(millrace.cli.__path__)):
        if name == "main":
            continue
        module = importlib.import_module(f"millrace.cli.{name}")
        if hasattr(module, "register"):
            module.register(app)
        else:
            app.add_typer(module.app, name=name)
    return app


def main() -> None:
    """Run a command. Errors that a person can act on end with one line on stderr and exit code 2."""
    try:
        build()(standalone_mode=True)
    except (UserError, RetryableError) as error:
        sys.stderr.write(f"millrace: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
