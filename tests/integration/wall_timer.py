"""The job's function on its own, driven by a clock: for test_wall_timer.py.

Runs in the flink environment.

    .venv-flink/bin/python tests/integration/wall_timer.py STEPS.json

STEPS.json: {"limits": a file, "steps": [[ms by the wall, what]]}. What happens is a reading of
sensor `s` ("speaks"), one of another ("other"), or that the timer of `s` by the wall's time fires,
if it is due ("timer"). Prints a line of JSON a step: the alerts told, and the timer that is set.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyflink.datastream import TimeDomain

from processing.sensors import watching
from processing.tables import columns

RECORD, ALERT = tuple(columns("SensorReading")), tuple(columns("Alert"))


class Memory:
    """State of one value for each key, metrics, timers and the key in hand."""

    def __init__(self) -> None:
        self.key, self.values, self.timers = "", dict[str, Any](), dict[str, int]()

    def get_state(self, _: Any) -> Memory:
        return self

    def value(self) -> Any:
        return self.values.get(self.key)

    def update(self, value: Any) -> None:
        self.values[self.key] = value

    def get_metrics_group(self) -> Memory:
        return self

    def add_group(self, _: str) -> Memory:
        return self

    def counter(self, _: str) -> Memory:
        return self

    def inc(self) -> None:
        pass

    def timer_service(self) -> Memory:
        return self

    def register_event_time_timer(self, when: int) -> None:
        pass  # no watermark moves: nothing comes

    def register_processing_time_timer(self, when: int) -> None:
        self.timers[self.key] = when

    def get_current_key(self) -> str:
        return self.key

    def time_domain(self) -> TimeDomain:
        return TimeDomain.PROCESSING_TIME


def main(steps_file: str) -> None:
    """Take the steps, one after the other."""
    given = json.loads(Path(steps_file).read_text())
    now, memory = [given["steps"][0][0]], Memory()
    setattr(watching, "now_ms", lambda: now[0])  # noqa: B010 - the module's own name for it
    function = watching.Watching(Path(given["limits"]))
    function.open(memory)
    for when, what in given["steps"]:
        now[0], memory.key = when, "other" if what == "other" else "s"
        told: list[Any] = []
        if what != "timer":
            fields = {"sensor_id": memory.key, "timestamp": when, "value": when / 1000 % 17}
            row = [{"status": "OK", "sensor_type": "default", **fields}.get(one) for one in RECORD]
            told = list(function.process_element([*row, when, 0, when], memory))
        elif memory.timers.get("s", when + 1) <= when:
            told = list(function.on_timer(memory.timers.pop("s"), memory))
        alerts = [dict(zip(ALERT, one[1], strict=True)) for one in told if isinstance(one, tuple)]
        said = [[one["state"], one["event_time"]] for one in alerts]
        sys.stdout.write(json.dumps({"told": said, "timer": memory.timers.get("s")}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
