"""Show where the TaskManager's time goes.

    python -m benchmarks.profile [--seconds 20] [--quick]           while a job runs
    python -m benchmarks.profile --rolling [--events 2000000]       runs the rolling benchmark's job

CPU by thread comes from /proc, hot methods by thread from Java Flight Recorder. It samples Java
frames every 10 ms and, apart, threads inside native methods every 20 ms: of these only RocksDB's
are kept, as the others wait rather than work. Weights are milliseconds.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.report import keep, show
from benchmarks.rolling import millrace, stage
from benchmarks.workload import Workload
from config.settings import settings
from millrace.stack.parts.jvm import java

EVENTS = {"jdk.ExecutionSample": 10, "jdk.NativeMethodSample": 20}
# What a frame belongs to: the first that matches, from the innermost frame outwards.
AREAS = (
    ("decode", r"^millrace\.kernel\.avro\.(Avro)?(Decod|Deserial|Reader|RecordReader|Input|Utf8)"),
    ("encode", r"^millrace\.kernel\.avro\."),
    ("rolling", r"^millrace\.kernel\.(rolling|sessionize|state)\.(?!MapStore)"),
    ("RocksDB", r"^org\.(forst)?rocksdb\.|^org\.rocksdb\."),
    ("state access", r"MapStore|state\.rocksdb|runtime\.state"),
    ("Kafka producer", r"kafka\.clients\.producer|KafkaWriter|kafka\.sink"),
    (
        "Kafka consumer",
        r"kafka\.clients\.consumer|connector\.kafka\.source|connector\.base\.source",
    ),
    ("shuffle", r"runtime\.io|network|BinaryRowDataSerializer|RowDataSerializer|netty"),
    (
        "generated code and operators",
        r"ProcessTableFunction|ProcessTableRunner|Calc\$|StreamExec|table\.runtime",
    ),
)
_AREAS = tuple((name, re.compile(pattern)) for name, pattern in AREAS)


def threads(pid: int) -> dict[str, tuple[str, float]]:
    """Return the CPU-seconds so far of each thread: id → (name, seconds)."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            line = (task / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        name, rest = (
            line[line.index("(") + 1 : line.rindex(")")],
            line[line.rindex(")") + 2 :].split(),
        )
        found[task.name] = name, (int(rest[11]) + int(rest[12])) / 100
    return found


def by_thread(
    before: dict[str, tuple[str, float]], after: dict[str, tuple[str, float]]
) -> list[dict[str, Any]]:
    """Sum CPU-seconds by thread name without its trailing number, largest first."""
    spent: Counter[str] = Counter()
    for identity, (name, seconds) in after.items():
        spent[re.sub(r"[\s#/0-9-]+$", "", name)] += seconds - before.get(identity, ("", 0.0))[1]  # type: ignore[assignment]
    total = sum(spent.values()) or 1.0
    return [
        {
            "thread": name,
            "cpu_seconds": round(seconds, 2),
            "share_percent": round(100 * seconds / total, 1),
        }
        for name, seconds in spent.most_common(14)
    ]


def record(pid: int, work: Callable[[], None], to: Path) -> None:
    """Record the JVM with Flight Recorder's `profile` settings while `work` runs."""
    _jcmd(pid, "JFR.start", "name=bench", "settings=profile")
    try:
        work()
    finally:
        _jcmd(pid, "JFR.stop", "name=bench", f"filename={to}")


def _jcmd(pid: int, *command: str) -> None:
    done = subprocess.run(
        [_jdk("jcmd"), str(pid), *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"jcmd {command[0]}: {done.stdout}{done.stderr}")


def _jdk(tool: str) -> str:
    """Return the path of a tool from the JDK that runs the stack.

    The PATH may hold none, or another JDK's.
    """
    return str(Path(java()).resolve().parent / tool)


def samples(recording: Path) -> Iterator[tuple[str, list[str], int]]:
    """Yield thread, frames (innermost first) and weight of each sample."""
    line = [
        _jdk("jfr"),
        "print",
        "--json",
        "--stack-depth",
        "64",
        "--events",
        ",".join(EVENTS),
        str(recording),
    ]
    done = subprocess.run(line, capture_output=True, check=True)
    for event in json.loads(done.stdout)["recording"]["events"]:
        values = event["values"]
        trace = (values.get("stackTrace") or {}).get("frames") or []
        frames = [
            f"{frame['method']['type']['name'].replace('/', '.')}.{frame['method']['name']}"
            for frame in trace
        ]
        if frames and (
            event["type"] == "jdk.ExecutionSample" or frames[0].startswith("org.rocksdb")
        ):
            thread = (values.get("sampledThread") or {}).get("javaName") or "?"
            yield thread, frames, EVENTS[event["type"]]


def area(frames: list[str]) -> str:
    """Return the part of the work a stack belongs to."""
    for frame in frames:
        for name, pattern in _AREAS:
            if pattern.search(frame):
                return name
    return "other"


def summarise(recording: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the shares of the samples by area, by method and by thread."""
    areas: Counter[str] = Counter()
    methods: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for thread, frames, weight in samples(recording):
        areas[area(frames)] += weight
        methods[frames[0]] += weight
        names[re.sub(r"\s*\(\d+/\d+\)#\d+.*$", "", thread)] += weight
    return {
        "areas": _shares("area", areas, 20),
        "methods": _shares("method", methods, 40),
        "sampled_threads": _shares("thread", names, 8),
    }


def _shares(what: str, counts: Counter[str], top: int) -> list[dict[str, Any]]:
    total = sum(counts.values()) or 1
    return [
        {what: name, "milliseconds": weight, "share_percent": round(100 * weight / total, 1)}
        for name, weight in counts.most_common(top)
    ]


def profile(work: Callable[[], None]) -> dict[str, list[dict[str, Any]]]:
    """Profile the TaskManager while `work` runs."""
    pid = Cluster(settings()).taskmanager().pid
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "bench.jfr"
        before = threads(pid)
        record(pid, work, recording)
        return {"cpu_by_thread": by_thread(before, threads(pid)), **summarise(recording)}


def rolling(events: int, options: dict[str, str] | None = None) -> dict[str, Any]:
    """Profile the rolling job once its JIT is warm: the second half of a run."""
    place = stage(Workload(events=events))
    done, counts = threading.Event(), [0]

    def contest() -> None:
        try:
            millrace(place, events, options=options, seen=counts.append)
        finally:
            done.set()

    runner = threading.Thread(target=contest)
    runner.start()
    _until(lambda: done.is_set() or counts[-1] >= events // 3)
    result = profile(lambda: _until(lambda: done.is_set() or counts[-1] >= events * 9 // 10))
    runner.join()
    return result


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.2)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rolling", action="store_true", help="run the rolling job and profile that"
    )
    parser.add_argument("--events", type=int, default=2_000_000, help="of the rolling job")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="how long a running job is profiled"
    )
    parser.add_argument(
        "--quick", action="store_true", help="5 s, or 500,000 events: shows that it works"
    )
    arguments = parser.parse_args()
    seconds, events = (5.0, 500_000) if arguments.quick else (arguments.seconds, arguments.events)
    result = rolling(events) if arguments.rolling else profile(lambda: time.sleep(seconds))
    for name, rows in result.items():
        show(name.replace("_", " "), rows)
    name = "profile-rolling" if arguments.rolling else "profile"
    print(keep(f"{name}-quick" if arguments.quick else name, result))


if __name__ == "__main__":
    main()
