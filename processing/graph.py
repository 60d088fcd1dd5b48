"""Write the SQL of a graph of feature sets (domain/features/graph.py), for a job's views.

A job builds its topology from these: the rows of its records, a `rolling` for each stage, what
passes from one stage to the next, and the feature record at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from domain.features.declaration import FeatureSet
from domain.features.graph import PLACE, Graph
from domain.features.table import Relay
from processing.tables import literal


def select(wanted: Iterable[str], given: Mapping[str, str], source: str) -> str:
    """SELECT the wanted columns, those that `given` names from its expressions."""
    listed = ", ".join(f"{given.get(name, f'`{name}`')} AS `{name}`" for name in wanted)
    return f"SELECT {listed} FROM {source}"


def events(graph: Graph, readable: str) -> str:
    """SELECT the rows of all records of the source table or view `readable`.

    Row features and columns that a record does not have are NULL.
    """
    return select(graph.inputs, {name: _input(graph, name) for name in graph.inputs}, readable)


def _input(graph: Graph, name: str) -> str:
    for column in graph.columns:
        if column.name == name:
            return column.sql
    meanings = {one.record: one.sql()[name] for one in graph.sources if name in one.sql()}
    if len(meanings) == len(graph.sources) and len(set(meanings.values())) == 1:
        return next(iter(meanings.values()))
    cases = (f"WHEN record_type = {literal(record)} THEN {sql}" for record, sql in meanings.items())
    return f"CASE {' '.join(cases)} END"


def rolling(features: FeatureSet, table: str, uid: str) -> str:
    """SELECT the rows of `table` with the declared features added by the kernel.

    `uid` names the state in savepoints.
    """
    spec = literal(json.dumps(features.spec(), ensure_ascii=False))
    return f"""
        SELECT * FROM rolling(
            `in` => TABLE {table} PARTITION BY ({", ".join(features.keys)}),
            spec => {spec}, uid => {literal(uid)})"""


def passed(graph: Graph, stage: FeatureSet, rolled: str) -> str:
    """SELECT what goes on after `stage` from its view `rolled`: each row once."""
    return select(graph.after(stage), {}, f"{rolled} WHERE NOT {stage.duplicate}")


def logged(relay: Relay, passed: str) -> str:
    """SELECT the columns of a relay from the view `passed` of what goes on after its stage."""
    return select(relay.columns(), {}, passed)


def ordered(relay: Relay, readable: str) -> str:
    """SELECT the rows of a relay as the log `readable` holds them, with their places in it."""
    places = {column.name: column.sql for column in PLACE if column.name in relay.omit}
    return select([*relay.columns(), *places], places, readable)


def features(graph: Graph, rolled: str) -> str:
    """SELECT the feature record from the view `rolled` of the last stage, each row once.

    A late row comes with `late` set and NULL for what cannot be known.
    """
    results = {column.name: column.sql for column in graph.results}
    last = graph.stages[-1]
    return select(graph.outputs, results, f"{rolled} WHERE NOT {last.duplicate}")
