"""Run the `millrace` command; each group of commands has a module beside this one."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import NoReturn

import typer

import millrace.cli
from config.errors import RetryableError, UserError
from config.logging import for_command
from config.settings import settings
from millrace.errors import told
from orchestration.shelf.card import UnusableModelError

_OF_THE_LAKE = ("dbt", "duckdb", "pandera", "pyiceberg", "statsforecast")

app = typer.Typer(
    name="millrace",
    help="Stateful stream processing: events in, decisions out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _millrace() -> None:  # with a callback, even a single command remains part of a group
    """Process streams of events with state, and decide."""
    for_command(settings())


def build(command: str | None = None) -> typer.Typer:
    """Build the whole application, or only what one command needs.

    The other groups' libraries take seconds to load. A module beside this one exports
    `register(app)` (commands of its own) or `app` (a group named like the module); one with neither
    is part of another.
    """
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(millrace.cli.__path__)
        if module.name != "main"
    )
    if command in names:
        names = [command]
    elif command is not None:
        _load("stack")
        if command in {
            one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands
        }:
            return app
        names.remove("stack")
    for name in names:
        _load(name)
    return app


def _load(name: str) -> None:
    module = importlib.import_module(f"millrace.cli.{name}")
    if hasattr(module, "register"):
        module.register(app)
    elif hasattr(module, "app"):
        app.add_typer(module.app, name=name)


def main() -> None:
    """Run a command.

    Errors that a person can act on end with one line on stderr and exit code 2.
    """
    command = sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    try:
        # What is wrong with the line itself Typer would tell in a frame of six.
        code = build(command)(prog_name="millrace", standalone_mode=False)
    except typer.Abort:
        _end("aborted", 1)
    except typer.TyperException as error:
        _end(_misuse(error), error.exit_code)
    except (UserError, RetryableError, OSError) as error:
        _end(told(error), 2)
    except UnusableModelError as error:
        _end(f"a model is unfit: {error}", 2)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_LAKE:
            raise
        _end("the lake's libraries are not installed: scripts/setup.sh --with lake", 2)
    sys.exit(code)


def _misuse(error: typer.TyperException) -> str:
    """Say what is wrong with the command line, and where its help is.

    Return an empty text if the help was the answer.
    """
    words = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return f"{words} (`{context.command_path} --help`)" if words and context is not None else words


def _end(words: str, code: int) -> NoReturn:
    if words:
        sys.stderr.write(f"millrace: {words}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
