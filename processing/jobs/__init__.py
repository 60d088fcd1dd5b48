"""Job files: each is its topology and nothing else, run with `flink run -py`."""
