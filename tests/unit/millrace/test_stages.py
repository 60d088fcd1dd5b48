from __future__ import annotations

import structlog

from millrace.stages import logged


def test_a_line_at_the_first_report_then_every_three_seconds_and_at_the_end() -> None:
    now = [100.0]
    stage = logged("training", clock=lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        report = stage("features", 10)
        assert lines == []
        for done in range(1, 11):
            report(done)
            now[0] += 1.0
    assert [line["done"] for line in lines] == [1, 4, 7, 10]
    assert all(line["event"] == "training" and line["total"] == 10 for line in lines)


def test_what_nobody_knows_is_left_out() -> None:
    with structlog.testing.capture_logs() as lines:
        logged("training")("reading", None)(5)
    assert lines == [{"event": "training", "stage": "reading", "done": 5, "log_level": "info"}]
