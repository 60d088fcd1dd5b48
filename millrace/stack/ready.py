"""`python -m millrace.stack.ready NAME`: exit with 0 when a process is ready, else say why.

Containers use it.
"""

from __future__ import annotations

import sys

from config.errors import UserError
from config.settings import settings
from millrace.stack import probes
from millrace.stack.processes import declared


def main() -> None:
    """Probe once."""
    try:
        loaded = settings()
        why = probes.missing(declared(loaded)[sys.argv[1]], loaded)
    except UserError as error:
        why = str(error)
    if why is not None:
        sys.exit(why)


if __name__ == "__main__":
    main()
