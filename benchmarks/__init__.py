"""What the README's figures come from.

Each module measures one thing, `python -m benchmarks.run` all of them.
"""
