"""What the README's figures come from: each module measures one thing, `python -m benchmarks.run` all of them."""
