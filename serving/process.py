"""What every long-running process does alike."""

from __future__ import annotations

import gc


def freeze() -> None:
    """Take what start-up made out of the collector's sight, and let it run less often.

    Its pauses are tail latency.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
