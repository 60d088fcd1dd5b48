"""Read rules from a mapping, as `config/rules.yaml` holds it.

rules:
  - name: far-over-habit
    words: Amount is over five times the customer's usual
    when:
      - {field: amount, gt: {times: 5, of: customer_mean_30d}}
      - {field: customer_count_30d, ge: 5}
    action: review
    mode: shadow
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast, get_args

from domain.declared import DeclaredError, finite, mapping, one_of, sequence
from domain.features.declaration import Comparison, DeclarationError, Op, Type
from domain.features.table import FeatureTable
from domain.fraud.rules import SIGNS, Action, Condition, Mode, Rule, Rules, Scaled

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_LONGEST = 200
_KNOWN = "known"
_OPS = (*SIGNS, "in", _KNOWN)
_PARTS = ("name", "words", "when", "action", "mode")


def fields_of(table: FeatureTable) -> dict[str, Type]:
    """Return what rules may read of a table's records, with types.

    That is the computed values on the wire, the payment's own fields, and `late`.
    """
    own: dict[str, Type] = {
        "amount": "DOUBLE",
        "customer_id": "STRING",
        "terminal_id": "STRING",
        "late": "BOOLEAN",
    }
    known = own | table.computed()
    return {name: known[name] for name in table.columns if name in known}


def parse(declared: Mapping[str, Any], known: Mapping[str, Type]) -> Rules:
    """Return the rules of a mapping with `rules`; `known` are the fields there are.

    Raise DeclaredError for what cannot be used: a part that is missing or unknown, a field that is
    not declared, a comparison that does not fit its field, a name that is used twice.
    """
    if unknown := set(declared) - {"rules"}:
        raise DeclaredError(f"unknown: {_names(unknown)}")
    rules = tuple(
        _rule(f"rules[{at}]", said, known)
        for at, said in enumerate(sequence("rules", declared.get("rules")))
    )
    names = [one.name for one in rules]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DeclaredError(f"rules: names used twice: {_names(twice)}")
    return Rules(rules)


def _rule(where: str, said: Any, known: Mapping[str, Type]) -> Rule:
    body = {"mode": "active", **mapping(where, said)}
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclaredError(
            f"{where}.name: {name!r}: at most 64 lower-case letters, digits and -, a letter first"
        )
    where = f"{where} ({name})"
    if unknown := set(body) - set(_PARTS):
        raise DeclaredError(f"{where}: unknown: {_names(unknown)}")
    if missing := [part for part in _PARTS if part not in body]:
        raise DeclaredError(f"{where}: {', '.join(missing)} missing")
    words = body["words"]
    if not isinstance(words, str) or not words.strip() or len(words) > _LONGEST:
        raise DeclaredError(f"{where}.words: a text of 1 to {_LONGEST} characters")
    conditions = sequence(f"{where}.when", body["when"])
    if not conditions:
        raise DeclaredError(f"{where}.when: no condition")
    return Rule(
        name,
        words.strip(),
        tuple(_condition(f"{where}.when[{at}]", one, known) for at, one in enumerate(conditions)),
        one_of(f"{where}.action", body["action"], get_args(Action)),
        one_of(f"{where}.mode", body["mode"], get_args(Mode)),
    )


def _condition(where: str, said: Any, known: Mapping[str, Type]) -> Condition:
    body = dict(mapping(where, said))
    column = _field(f"{where}.field", body.pop("field", None), known)
    if len(body) != 1:
        raise DeclaredError(f"{where}: one comparison of {', '.join(_OPS)}")
    ((op, value),) = body.items()
    if op not in _OPS:
        raise DeclaredError(f"{where}: unknown comparison {op!r}, know {', '.join(_OPS)}")
    if isinstance(value, Mapping):
        return _scaled(where, column, op, value, known)
    if op == _KNOWN:
        if not isinstance(value, bool):
            raise DeclaredError(f"{where}.{op}: true or false")
        return Comparison(column, "notnull" if value else "null")
    if isinstance(value, float) and not math.isfinite(value):
        raise DeclaredError(f"{where}.{op}: {value!r} is no number")
    try:
        constant = tuple(value) if isinstance(value, list) else value
        made = Comparison(column, cast("Op", op), constant)
        made.check(known, where)
    except DeclarationError as error:
        raise DeclaredError(f"{where}: {error}") from None
    return made


def _scaled(
    where: str, column: str, op: Any, said: Mapping[str, Any], known: Mapping[str, Type]
) -> Scaled:
    if op not in SIGNS:
        raise DeclaredError(f"{where}.{op}: no comparison with a field")
    if unknown := set(said) - {"of", "times"}:
        raise DeclaredError(f"{where}.{op}: unknown: {_names(unknown)}")
    of, times = _field(f"{where}.{op}.of", said.get("of"), known), said.get("times", 1)
    if not finite(times):
        raise DeclaredError(f"{where}.{op}.times: {times!r} is no number")
    for name in (column, of):
        if known[name] not in ("BIGINT", "DOUBLE"):
            raise DeclaredError(f"{where}.{op}: {name} is {known[name]}, no number")
    return Scaled(column, op, of, float(times))


def _field(where: str, said: Any, known: Mapping[str, Type]) -> str:
    if not isinstance(said, str) or said not in known:
        raise DeclaredError(f"{where}: {said!r} is no declared feature or field of a payment")
    return said


def _names(said: set[Any]) -> str:
    return ", ".join(sorted(map(str, said)))
