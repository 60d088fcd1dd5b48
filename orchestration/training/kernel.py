"""Run the kernel in batch: compute features of rows at hand with the Java code of the jobs.

The kernel is a process of its own (`millrace.kernel.batch.BatchRun`) that is fed rows in chunks of
columns and answers with numbers, as docs/decisions/0014 describes. It computes the bits that
`domain.features.reference` specifies.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.features.declaration import DerivedFeature, FeatureSet, Type
from domain.features.table import FeatureTable
from orchestration.training.columns import each

ARROW: Mapping[Type, pa.DataType] = {
    "BIGINT": pa.int64(),
    "TIMESTAMP": pa.int64(),
    "DOUBLE": pa.float64(),
    "STRING": pa.string(),
    "BOOLEAN": pa.bool_(),
}
WORKERS = min(4, os.cpu_count() or 1)


class KernelError(RuntimeError):
    """Raised when the kernel's process ends early, with its output, or returns too little."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The computation: feature sets one after the other over the same rows.

    A later set may read what an earlier one computed; a row that a set does not emit, or marks as a
    duplicate, does not reach the next. `outputs` are numbers and booleans, of the input, computed
    by a set or `derived` from both.
    """

    sets: tuple[FeatureSet, ...]
    outputs: tuple[str, ...]
    derived: tuple[DerivedFeature, ...] = ()

    @classmethod
    def of(cls, table: FeatureTable) -> Plan:
        """Return the plan that computes what a model of the table reads, and what that needs."""
        derived = tuple(one for one in table.derived if one.name in table.model)
        return cls(_needed(table, derived), table.model, derived)

    def columns(self) -> dict[str, Type]:
        """Return the input columns that the kernel reads, with their types."""
        read = {*self.asked()}.union(*(_read(one) for one in self.sets))
        return {name: kind for name, kind in self._given().items() if name in read}

    def asked(self) -> tuple[str, ...]:
        """Return what the kernel is asked for.

        With derived features that is every number it computes, as their functions may read any.
        """
        names = {one.name for one in self.derived}
        asked = [name for name in self.outputs if name not in names]
        if self.derived:
            asked += [name for name, kind in self._computed().items() if kind != "STRING"]
        return tuple(dict.fromkeys(asked))

    def schema(self) -> pa.Schema:
        """Return the chunks' schema, a TIMESTAMP in ms: `columns`, or all that derived ones read.

        Those are all inputs, as a derived feature may read any.
        """
        columns = self._given() if self.derived else self.columns()
        return pa.schema({name: ARROW[kind] for name, kind in columns.items()})

    def complete(self, chunk: pa.RecordBatch, answer: Answer) -> Answer:
        """Return the outputs for a chunk, given the kernel's answer to what it was asked for.

        Raise KernelError for a derived feature that reads what the kernel does not return.
        """
        if not self.derived:
            return answer
        types, taken = self._given() | self._computed(), chunk.take(pa.array(answer.places))
        computed = {
            name: pa.array(answer.values[:, at], from_pandas=True).cast(ARROW[types[name]])
            for at, name in enumerate(self.asked())
        }
        row = computed | dict(zip(taken.schema.names, taken.columns, strict=True))
        values = dict(zip(self.asked(), answer.values.T, strict=True))
        for one in self.derived:
            try:
                values[one.name] = each(one.python, row, len(answer.places))
            except KeyError as error:
                raise KernelError(
                    f"derived feature {one.name!r} reads {error}, which is not an input "
                    "or a number that a feature set computes"
                ) from error
        return Answer(answer.places, np.column_stack([values[name] for name in self.outputs]))

    def _computed(self) -> dict[str, Type]:
        return {name: kind for one in self.sets for name, kind in one.columns().items()}

    def _given(self) -> dict[str, Type]:
        computed = self._computed()
        given = {name: kind for one in self.sets for name, kind in one.inputs}
        return {name: kind for name, kind in given.items() if name not in computed}

    def text(self, workers: int) -> str:
        """Return the plan as the process reads it: one line of JSON."""
        sets = [{"key": _names(one.key), "spec": one.spec()} for one in self.sets]
        plan = {"columns": [*self.columns().items()], "sets": sets, "outputs": self.asked()}
        return json.dumps({**plan, "workers": workers}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a chunk that were emitted: their indices in it, and their outputs.

    `values` has a row for each index and a column for each output; NaN is NULL, 1 is true.
    """

    places: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]


class Kernel:
    """Run plans in a process started with `command` (a Java with the kernel on its class path)."""

    def __init__(self, command: Sequence[str], workers: int = WORKERS) -> None:
        self._command, self._workers = tuple(command), workers

    def run(self, plan: Plan, chunks: Iterable[pa.RecordBatch]) -> Generator[Answer, None, None]:
        """Yield an answer for each chunk of rows, in order.

        Chunks have `plan.schema()` and come in the order of the stream; they are made in a thread
        of their own while earlier ones are computed. Raise KernelError when the process fails, and
        whatever `chunks` raises.
        """
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
            kept: deque[pa.RecordBatch] = deque()
            sent = _sent(plan, chunks, kept)
            writer = _Writer(_pipe(process.stdin), plan.text(self._workers), sent)
            answers = _pipe(process.stdout)
            writer.start()
            try:
                for answer in _answers(answers, len(plan.asked())):
                    yield plan.complete(kept.popleft(), answer)
                code = process.wait()
            finally:
                # Also if the caller stops early: the input ends, and the writer with it.
                process.kill()
                process.wait()
                answers.close()
                writer.join()
            if writer.failure is not None:
                raise writer.failure
            if code != 0:
                said.seek(0)
                words = said.read().decode(errors="replace").strip()
                raise KernelError(f"the kernel ended with code {code}: {words[-2000:]}")


class _Writer(threading.Thread):
    """Feed the process. `failure` is what making the chunks raised, if anything."""

    def __init__(self, pipe: IO[bytes], plan: str, chunks: Iterable[pa.RecordBatch]) -> None:
        super().__init__(daemon=True)
        self._pipe, self._plan, self._chunks = pipe, plan, chunks
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with self._pipe as pipe:
                pipe.write(self._plan.encode() + b"\n")
                for chunk in self._chunks:
                    for part in _wire(chunk):
                        pipe.write(part)
                    pipe.flush()
        except BrokenPipeError:
            pass  # the process has ended, and its exit code says why
        except BaseException as error:
            # Raised again by the reader of the answers.
            self.failure = error


def _sent(
    plan: Plan, chunks: Iterable[pa.RecordBatch], kept: deque[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield what the kernel reads of each chunk, which is kept until it is answered."""
    names = [*plan.columns()]
    for chunk in chunks:
        kept.append(chunk)
        yield chunk.select(names)


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise KernelError("the kernel was started without a pipe")
    return end


def _wire(chunk: pa.RecordBatch) -> Iterator[bytes]:
    """Yield a chunk as `millrace.kernel.batch.Vector` reads it."""
    yield np.int32(len(chunk)).tobytes()
    for column in chunk.columns:
        yield pc.is_null(column).cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes()
        if pa.types.is_string(column.type):
            text = pc.fill_null(column, "")
            ends = np.cumsum(pc.binary_length(text).to_numpy(zero_copy_only=False), dtype="<i4")
            yield ends.tobytes()
            yield "".join(text.to_pylist()).encode()
        elif pa.types.is_boolean(column.type):
            marks = pc.fill_null(column, False).cast(pa.uint8())
            yield marks.to_numpy(zero_copy_only=False).tobytes()
        else:
            yield pc.fill_null(column, 0).to_numpy(zero_copy_only=False).tobytes()


def _answers(pipe: IO[bytes], width: int) -> Iterator[Answer]:
    while head := pipe.read(4):
        count = int.from_bytes(head, "little")
        data = pipe.read(count * (4 + 8 * width))
        if len(data) < count * (4 + 8 * width):
            return  # cut off: the exit code says why
        values = np.frombuffer(data, "<f8", offset=4 * count).reshape(count, width)
        yield Answer(np.frombuffer(data, "<i4", count), values)


def _names(key: str | Sequence[str]) -> list[str]:
    return [key] if isinstance(key, str) else [*key]


def _needed(table: FeatureTable, derived: Sequence[DerivedFeature]) -> tuple[FeatureSet, ...]:
    """Return the table's sets without features that nobody reads.

    Their windows stay, as these say how long rows are remembered. What a derived feature reads its
    SQL names.
    """
    wanted = {*table.model}.union(*(re.findall(r"\w+", one.sql) for one in derived))
    found: list[FeatureSet] = []
    for one in reversed(table.sets):
        # A set says which rows are repeated, whatever it computes.
        kept = tuple(f for f in one.features if f.name in wanted) or one.features[:1]
        found.append(replace(one, features=kept))
        wanted |= _read(found[-1])
    unread = {f.name for one in table.sets for f in one.features} - wanted
    return tuple(
        replace(one, inputs=tuple(column for column in one.inputs if column[0] not in unread))
        for one in reversed(found)
    )


def _read(declared: FeatureSet) -> set[str]:
    """Return the columns a feature set reads, those that an earlier one computes among them."""
    spec = declared.spec()
    compared = [*spec.get("pass", ()), *spec.get("emit", ())]
    names = {*_names(declared.key), spec["time"], spec.get("id")}
    for feature in spec["features"]:
        names.add(feature.get("column"))
        compared += [*feature.get("filter", ()), *feature.get("condition", ())]
    return {name for name in names if name} | {one["column"] for one in compared}
