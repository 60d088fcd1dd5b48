"""The benchmarks' stack is their own, whatever the caller has exported."""

from __future__ import annotations

from benchmarks.run import environment


def test_the_callers_stack_is_never_the_benchmarks() -> None:
    found = environment(
        {
            "PATH": "/bin",
            "MILLRACE_STATE_DIR": "/mine",
            "MILLRACE_PORT_OFFSET": "7",
            "MILLRACE_REDIS_URL_OVERRIDE": "redis://mine",
            "MILLRACE_BUILD_DIR": "/built",
        }
    )
    assert found == {
        "PATH": "/bin",
        "MILLRACE_BUILD_DIR": "/built",
        "MILLRACE_STATE_DIR": ".millrace-bench",
        "MILLRACE_PORT_OFFSET": "9000",
    }


def test_another_place_is_chosen_by_variables_of_their_own() -> None:
    found = environment(
        {"MILLRACE_BENCH_STATE_DIR": "/bench", "MILLRACE_BENCH_PORT_OFFSET": "8000"}
    )
    assert (found["MILLRACE_STATE_DIR"], found["MILLRACE_PORT_OFFSET"]) == ("/bench", "8000")
