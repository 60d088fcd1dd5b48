"""Show and check the rules that decide beside the model: `millrace rules`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import settings
from domain.features.declaration import Window
from domain.features.words import rounding
from domain.fraud.features import FRAUD
from domain.fraud.rules import Rule, Rules
from ingestion.fraud.rules import load
from millrace.options import AsJson

app = typer.Typer(help="Rules that decide on payments beside the model.", no_args_is_help=True)

WINDOWS: dict[str, Window] = {
    feature.name: declared.window(feature.window)
    for declared in FRAUD.sets
    for feature in declared.features
}


@app.command("list", epilog="Example: millrace rules list --json")
def list_rules(as_json: AsJson = False) -> None:
    """List the rules of MILLRACE_RULES_FILE, and how the windows they look at are rounded."""
    _show(load(settings().rules_file), as_json=as_json)


@app.command(epilog="Example: millrace rules check config/rules.yaml")
def check(
    file: Annotated[Path, typer.Argument(help="a file of rules")], as_json: AsJson = False
) -> None:
    """Check a file of rules before it is used. Exit with 2 and say why if it cannot be."""
    rules = load(file)
    if as_json:
        typer.echo(json.dumps({"version": rules.version, "rules": len(rules.rules)}))
    else:
        typer.echo(f"{file}: {rules.version}, {len(rules.rules)} rules")


def described(rules: Rules) -> dict[str, Any]:
    """Return the rules as JSON types, with the windows behind each."""
    return {"version": rules.version, "rules": [_described(rule) for rule in rules.rules]}


def _described(rule: Rule) -> dict[str, Any]:
    windows = {
        name: {
            "tile_ms": WINDOWS[name].tile_ms,
            "tiles": WINDOWS[name].tiles,
            "covers": rounding(WINDOWS[name]),
        }
        for name in rule.fields
        if name in WINDOWS
    }
    return {
        "name": rule.name,
        "words": rule.words,
        "when": [one.spec() for one in rule.when],
        "action": rule.action,
        "mode": rule.mode,
        "windows": windows,
    }


def _show(rules: Rules, *, as_json: bool) -> None:
    told = described(rules)
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    table = Table(title=Text(rules.version or "no rules"))
    for heading in ("rule", "mode", "action", "when", "its windows cover"):
        table.add_column(heading, overflow="fold")
    for rule, one in zip(rules.rules, told["rules"], strict=True):
        windows = {name: WINDOWS[name].name for name in one["windows"]}
        covers = {f"{windows[name]}: {window['covers']}" for name, window in one["windows"].items()}
        when = "\n".join(condition.text() for condition in rule.when)
        cells = (rule.name, rule.mode, rule.action, when, "\n".join(sorted(covers)))
        table.add_row(*map(Text, cells))
    Console().print(table)
