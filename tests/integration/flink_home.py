"""Scripts run in the flink environment, each a mini cluster of its own.

Shipped jars, connectors, kernel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from config.settings import settings
from millrace.stack.layout import Layout


def run_script(
    script: str,
    folder: Path,
    *arguments: str | Path,
    heap: str = "512m",
    java: Sequence[str] = (),
    timeout: float = 300,
) -> str:
    """Run tests/integration/<script> to its end and return what it printed; its end must be good.

    `heap` and further options `java` are the mini cluster's JVM's; `timeout` is in seconds.
    """
    layout = Layout.of(settings())
    assert layout.kernel_jar.exists(), f"{layout.kernel_jar} is missing: make setup builds it"
    library = folder / "lib"
    if not library.exists():
        library.mkdir()
        for jar in (*layout.flink_home.glob("lib/*.jar"), *layout.flink_jars.glob("*.jar")):
            (library / jar.name).symlink_to(jar)
        # A copy: a rebuild must not change the jar under the running job.
        shutil.copy(layout.kernel_jar, library)
    environment = {
        **os.environ,
        "PYTHONPATH": str(layout.root),
        "FLINK_HOME": str(layout.flink_home),  # without it pyflink overrules the next
        "FLINK_LIB_DIR": f"{library}/",
        "JVM_ARGS": " ".join([f"-Xmx{heap}", *java]),
    }
    done = subprocess.run(
        [layout.flink_python, Path(__file__).with_name(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout
