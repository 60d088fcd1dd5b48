"""Runs one script after the other in the flink environment, for flink_home.py.

Reads a line of JSON for each: {"script", "arguments", "heads", "answer"}, calls the script's `main`
with the arguments, writes [whether its end was good, what it said] to the file `answer`, then DONE
to standard output, which the JVM writes to as well. `heads` are the bytes for heads that the kernel
keeps on the heap, null for its own choice.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import traceback
from pathlib import Path

BUDGET = "millrace.kernel.state.HeapBudget"
DONE = b"=== the script has ended ===\n"


def limit_heads(size: int | None) -> None:
    """Give the kernel another budget: it makes one for each JVM, when first asked."""
    # Imported here because tests read DONE, and only the flink environment has pyflink.
    from pyflink.java_gateway import get_gateway

    jvm = get_gateway().jvm
    name = "millrace.heads.bytes"
    if size is None:
        jvm.java.lang.System.clearProperty(name)
    else:
        jvm.java.lang.System.setProperty(name, str(size))
    shared = jvm.java.lang.Class.forName(BUDGET).getDeclaredField("shared")
    shared.setAccessible(True)
    shared.set(None, None)


def run(script: str, arguments: list[str], heads: int | None) -> tuple[bool, str]:
    """Return whether the script's end was good, and what it printed, or its traceback."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            limit_heads(heads)
            module = importlib.import_module(f"tests.integration.{Path(script).stem}")
            module.main(*arguments)
        except Exception:
            return False, said.getvalue() + traceback.format_exc()
    return True, said.getvalue()


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        answer = run(asked["script"], asked["arguments"], asked["heads"])
        Path(asked["answer"]).write_text(json.dumps(answer))
        sys.stdout.buffer.write(DONE)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
