"""Keep a product's models, and read them: what training publishes and serving loads.

`<folder>/<version>/model.json` is a model's card and lies beside its artefacts, `<folder>/current`
names the model in use, `<folder>/history.jsonl` says what was published, promoted and withdrawn.
Nothing here knows a product: how a kind of model is loaded is in `kinds`, and what else a product
asks of a model it checks itself (docs/decisions/0009).
"""
