"""Give a running job the state that history makes by its present declaration, and let it go on.

    lake, then Kafka ── copies of its topics ── the same topology ── savepoint ── the job

1. Records up to where the job has certainly read are copied, in their order, to topics for a while:
   from the lake as far as it has them, from Kafka what follows. If a slot is free, a second job of
   the same topology reads them beside the first (processing/history.py).
2. The job stops with a savepoint. It says where each source goes on: that is the seam. What lies
   before it is copied, too.
3. When all of it has been read, the second job stops with a savepoint. The job starts from it,
   and the offsets of its group are the seam: each record before it is in the state, once, and each
   one behind it is still to be answered.

An attempt that ends before the last step changes nothing but that the job may be stopped: it goes
on from its own savepoint, or the command is typed again.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from config.errors import RetryableError, UserError
from config.settings import Settings
from config.topics import topics
from ingestion.kafka.copies import Copy, Offsets, Record, between, commit, committed, remove
from ingestion.kafka.tail import reader
from ingestion.kafka.topics import admin
from millrace.flink import jobs, lineage, submission
from millrace.flink import rest as cluster
from millrace.flink.client import Client
from millrace.flink.submission import Wanted
from millrace.stack.layout import Layout
from millrace.stack.parts import flink
from millrace.stack.parts.jvm import FIRST_COMPILER, java
from processing.history import OPTION

_POSITIONS = "millrace.kernel.savepoint.Positions"
_CHECKPOINTS = "2 s"
_STUCK_S, _POLL_S = 300.0, 0.3

History = Callable[[str, Mapping[int, int]], Iterator[Record]]
"""The records of a topic before an offset of each partition, as far back as they matter."""
Seam = dict[str, Offsets]
"""The next offset of each partition, by topic."""


@dataclass(frozen=True, slots=True)
class Handed:
    """The outcome: the job's new id, the seam, how many records its state was made of.

    `beside`: the second job ran beside the first, which so stood still only for the rest.
    """

    job_id: str
    seam: Seam
    records: int
    beside: bool


class Handover:
    """One attempt, for a job that reads `names`; `held`: before which offsets history has all."""

    def __init__(
        self,
        settings: Settings,
        job: str,
        names: Sequence[str],
        held: Mapping[str, Offsets],
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings, self._job, self._report = settings, job, report
        self._names, self._held = tuple(names), held
        self._second = f"{job}-history"
        self._client: AdminClient = admin(settings.kafka_bootstrap)
        self._group = f"{self._second}-{uuid.uuid4().hex[:8]}"
        self._copies: dict[str, Copy] = {}

    def run(self, history: History) -> Handed:
        """Do all of it. Raise UserError or RetryableError if it cannot be done now."""
        with jobs.exclusive(self._settings, self._second), self._reading() as consumer:
            try:
                return self._run(history, consumer)
            except (RetryableError, UserError) as error:
                raise type(error)(f"{error}{self._advice()}") from error
            finally:
                # What cannot be removed now the next attempt removes: it must not hide how this
                # one ended.
                with suppress(RetryableError):
                    self._clear()

    def _run(self, history: History, consumer: Consumer) -> Handed:
        self._clear()
        sure = self._sure()
        for name in self._names:
            made = f"{self._group}-{name}"
            declared, bootstrap = topics()[name], self._settings.kafka_bootstrap
            self._copies[name] = Copy(self._client, bootstrap, declared, made)
        self._report("copying history")
        count = sum(self._copied(history, consumer, name, sure[name]) for name in self._names)
        beside = self._may_run_beside()
        if beside:
            self._report("computing beside the job")
            self._start()
            self._await()
        self._report("stopping the job")
        seam = self._stopped()
        count += self._rest(consumer, sure, seam)
        if not beside:
            self._report("computing")
            self._start()
        self._await()
        # In a folder of its own, as it is no state of the job before it is submitted from it.
        folder = Layout.of(self._settings).savepoints / self._second
        folder.mkdir(parents=True, exist_ok=True)
        whole = jobs.savepoint(self._settings, self._living(), folder)
        self._report("starting the job")
        for name, offsets in seam.items():
            commit(self._client, f"millrace-{self._job}", name, offsets)
        with jobs.exclusive(self._settings, self._job):
            new = submission.submit(self._settings, Wanted(self._job, whole, drops_state=True))
        return Handed(new, seam, count, beside)

    def _advice(self) -> str:
        if not jobs.stopped_on_purpose(self._settings, self._job):
            return ""
        return f"; {self._job} stands still: type it again, or `millrace jobs submit {self._job}`"

    @contextmanager
    def _reading(self) -> Iterator[Consumer]:
        consumer = reader(self._settings.kafka_bootstrap)
        try:
            yield consumer
        finally:
            consumer.close()

    def _sure(self) -> Seam:
        """Return up to where the job has certainly read: what it has committed, or its savepoint.

        Raise UserError for a job that has never run, or that is just away.
        """
        if jobs.living(self._settings, self._job) is None:
            return self._from_its_savepoint()
        return {name: self._committed(name) for name in self._names}

    def _from_its_savepoint(self) -> Seam:
        if not jobs.stopped_on_purpose(self._settings, self._job):
            raise UserError(f"{self._job} is away: wait until it runs, or stop it")
        state = lineage.latest(self._settings, self._job)
        if state is None:
            raise UserError(f"{self._job} has no state that something could follow")
        found = positions(Layout.of(self._settings), state)
        # A state that history made has no place of the job's sources: they begin at the group's.
        return {
            name: found[name] if name in found else self._committed(name) for name in self._names
        }

    def _committed(self, name: str) -> Offsets:
        group, partitions = f"millrace-{self._job}", topics()[name].partitions
        return committed(self._client, group, name, partitions)

    def _stopped(self) -> Seam:
        """Stop the job if it runs, and return where it would go on."""
        if jobs.living(self._settings, self._job) is not None:
            jobs.stop(self._settings, self._job)
        return self._from_its_savepoint()

    def _copied(self, history: History, consumer: Consumer, name: str, sure: Offsets) -> int:
        held = {one: min(end, self._held[name].get(one, 0)) for one, end in sure.items()}
        count = self._copies[name].add(history(name, held))
        return count + self._copies[name].add(between(consumer, name, held, sure))

    def _rest(self, consumer: Consumer, sure: Seam, seam: Seam) -> int:
        count = 0
        for name in self._names:
            if any(seam[name].get(one, 0) < at for one, at in sure[name].items()):
                raise UserError(f"{self._job} has gone back behind what it had read: type it again")
            count += self._copies[name].add(between(consumer, name, sure[name], seam[name]))
        return count

    def _may_run_beside(self) -> bool:
        return cluster.free_slots(self._settings) >= self._settings.flink_parallelism

    def _start(self) -> None:
        layout = Layout.of(self._settings)
        copies = {name: one.name for name, one in self._copies.items()}
        options = {
            "execution.checkpointing.dir": flink.uri(layout.checkpoints / self._second),
            "execution.checkpointing.interval": _CHECKPOINTS,
            OPTION: json.dumps({"group": self._group, "copies": copies}),
        }
        module = jobs.declared(self._settings, self._job).module
        asked = {"name": self._second, "module": module, "options": options}
        with Client(self._settings) as client:
            answers, printed = client.submit([asked])
        answer = answers.get(self._second, {"error": printed})
        if "error" in answer:
            raise submission.refusal(self._second, answer["error"])

    def _living(self) -> str:
        found = jobs.living(self._settings, self._second)
        if found is None:
            raise UserError(f"{self._second} has ended: see `millrace logs taskmanager`")
        return found

    def _await(self) -> None:
        """Wait until a checkpoint has all that was copied. Raise UserError if it does not move."""
        before, moved = -1, time.monotonic()
        while (left := self._left()) > 0:
            self._living()
            if left != before:
                before, moved = left, time.monotonic()
            elif time.monotonic() - moved > _STUCK_S:
                raise UserError(f"{self._second} does not go on: {left} records are left")
            time.sleep(_POLL_S)

    def _left(self) -> int:
        left = 0
        for copy in self._copies.values():
            done = committed(self._client, self._group, copy.name, len(copy.ends))
            left += sum(end - min(done.get(one, 0), end) for one, end in copy.ends.items())
        return left

    def _clear(self) -> None:
        """Remove what this attempt, or one that was killed, has left."""
        with suppress(RetryableError):
            cluster.cancel(self._settings, self._second)
        try:
            known = self._client.list_topics(timeout=10).topics
        except Exception as error:
            raise RetryableError(f"Kafka does not answer: {error!r}") from error
        remove(self._client, [one for one in known if one.startswith(f"{self._second}-")])


def positions(layout: Layout, state: Path) -> Seam:
    """Return where the sources of a savepoint or checkpoint go on.

    Raise UserError if that cannot be read.
    """
    libraries = f"{layout.kernel_jar}:{layout.flink_home / 'lib'}/*"
    line = (java(), *FIRST_COMPILER, "-cp", libraries, _POSITIONS, str(state))
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise UserError(f"{state} cannot be read: {jobs.reason(done.stderr)}")
    told = json.loads(done.stdout.splitlines()[-1])
    return {
        name: {int(partition): offset for partition, offset in found.items()}
        for name, found in told.items()
    }
