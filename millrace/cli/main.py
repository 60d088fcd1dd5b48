"""`millrace`: the commands, each group in a module of its own beside this one."""

from __future__ import annotations

import importlib
import sys

import typer

from config.errors import RetryableError, UserError

app = typer.Typer(
    name="millrace",
    help="Stateful stream processing: events in, decisions out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Each exports `register(app)` (commands of its own) or `app` (a group named like the module).
GROUPS = ("stack", "jobs")


def build(groups: tuple[str, ...] = GROUPS) -> typer.Typer:
    """The whole application."""
    for name in groups:
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
