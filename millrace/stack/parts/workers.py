"""Let Flink start Python workers from folders whose paths have spaces."""

from __future__ import annotations

from pathlib import Path

from config.files import write
from millrace.stack.layout import Layout

# Flink's runner expands the paths of the interpreter and of its log unquoted. Bash reads the file
# that BASH_ENV names before a script; without a space among its separators it leaves them whole.
SCRIPT = """\
case $0 in */pyflink-udf-runner.sh) IFS=$'\\n' ;; esac
unset BASH_ENV
"""


def environment(layout: Layout) -> dict[str, str]:
    """Return the variables by which Flink's runner of Python workers takes paths with spaces."""
    needed = " " in f"{layout.state}{layout.flink_python}"
    return {"BASH_ENV": str(_file(layout))} if needed else {}


def prepare(layout: Layout) -> None:
    """Write the file that `environment` names."""
    write(_file(layout), SCRIPT)


def _file(layout: Layout) -> Path:
    return layout.flink_conf / "python-workers.bash"
