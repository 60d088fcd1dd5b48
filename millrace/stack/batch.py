"""Run the kernel without Flink: the command that computes training frames."""

from __future__ import annotations

from config.errors import UserError
from millrace.stack.layout import Layout
from millrace.stack.parts.jvm import java

MAIN = "millrace.kernel.batch.BatchRun"
# State lives on the heap, a few KB a key. The young generation is small because rows leave nothing
# but garbage.
_HEAP = ("-XX:+UseSerialGC", "-Xmn48m", "-XX:MaxRAMPercentage=50")


def command(layout: Layout) -> tuple[str, ...]:
    """Return the command of `millrace.kernel.batch`.

    It names a Java, the kernel, and the JSON library in Flink's jar.

    Raise UserError, naming the missing one.
    """
    flink = sorted(layout.flink_home.glob("lib/flink-dist-*.jar"))
    if not flink:
        raise UserError(f"no PyFlink in {layout.flink_home}: type `make setup`")
    if not layout.kernel_jar.exists():
        raise UserError(f"{layout.kernel_jar} is missing: type `make setup`")
    return (java(), *_HEAP, "-cp", f"{layout.kernel_jar}:{flink[-1]}", MAIN)
