"""Find Java, and define the options of every long-lived JVM."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from config.errors import UserError
from config.settings import Settings
from millrace.stack.layout import Layout

# A JVM that has just started compiles for a minute, at its work's priority; on few cores the work
# waits, and a third of the first second's payments are late. So compilers get only spare time
# (docs/decisions/0007). If the process is not root, the JVM warns that it may not raise a thread's
# priority; lowering one needs no right.
COMPILE_LAST = ("-XX:ThreadPriorityPolicy=1", "-XX:CompilerThreadPriority=10")

# In a process that lives for minutes the second compiler takes more time than its code saves.
FIRST_COMPILER = ("-XX:TieredStopAtLevel=1",)

OLDEST = 17  # Kafka and the kernel are compiled for it


def compilers(settings: Settings) -> tuple[str, ...]:
    """Return the options that say how a JVM with much to do compiles it."""
    return COMPILE_LAST if settings.jvm_second_compiler else (*COMPILE_LAST, *FIRST_COMPILER)


def temporary(layout: Layout, name: str) -> str:
    """Return the option that keeps a process's temporary files out of the system's folder.

    Such files are unpacked native libraries and web caches.
    """
    return f"-Djava.io.tmpdir={layout.scratch(name)}"


def clear_temporary(layout: Layout, name: str) -> None:
    """Empty the folder that `temporary` names."""
    shutil.rmtree(layout.scratch(name), ignore_errors=True)
    layout.scratch(name).mkdir(parents=True, exist_ok=True)


def java() -> str:
    """Return the Java that runs everything.

    That is `JAVA_HOME` if it is 17 or newer, else Debian's JDK 17, else the one on the path.

    Raise UserError if there is none.
    """
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists() and _version(Path(home)) >= OLDEST:
        return str(Path(home) / "bin" / "java")
    debian = sorted(Path("/usr/lib/jvm").glob("java-17-openjdk-*/bin/java"))
    found = str(debian[0]) if debian else shutil.which("java")
    if not found:
        raise UserError(
            "no Java found: type `make setup` (it installs openjdk-17-jdk-headless) "
            "or set JAVA_HOME"
        )
    return found


def _version(home: Path) -> int:
    """Return the major version that a Java states in its `release` file; 0 if it states none."""
    release = home / "release"
    found = re.search(
        r'^JAVA_VERSION="(?:1\.)?(\d+)',
        release.read_text() if release.exists() else "",
        re.MULTILINE,
    )
    return int(found[1]) if found else 0
