"""Parse the command line that every peer is given."""

from __future__ import annotations

import argparse
from pathlib import Path


def parse() -> argparse.Namespace:
    """Parse the broker, the topics, the schemas, and where and how often state is made durable."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--sink", required=True)
    parser.add_argument("--in-schema", type=Path, required=True)
    parser.add_argument("--out-schema", type=Path, required=True)
    parser.add_argument("--out-id", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument(
        "--interval", type=float, default=10.0, help="seconds between commits or snapshots"
    )
    parser.add_argument("--low-latency", action="store_true", help="no lingering, small batches")
    parser.add_argument("--reset", default="earliest", choices=["earliest", "latest"])
    return parser.parse_args()
