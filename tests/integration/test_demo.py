"""The demo on a stack that runs already.

It streams, scores come back, and the stack is left as it was.
"""

from __future__ import annotations

import re

from millrace.stack.harness import Stack


def test_the_demo_scores_what_it_streams_and_asks_the_api(harness: Stack) -> None:
    printed = harness.cli("demo", "--seconds", "6", "--rate", "40")
    scored, sent = re.search(r"([\d,]+) of ([\d,]+) payments scored", printed).groups()  # type: ignore[union-attr]
    assert scored == sent
    assert int(sent) > 100
    assert '"model_version"' in printed
    assert printed.rstrip().endswith("the stack was up before and stays up")
    again = harness.cli("demo", "--seconds", "3", "--rate", "40")
    assert re.search(r'"transaction_id": "demo-2-\d+"', again)
    assert '"late": false' in again
    harness.wait_ready("kafka", "jobs", "api")
