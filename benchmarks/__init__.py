"""Measure what the README claims: one module a figure, `python -m benchmarks.run` for all."""
