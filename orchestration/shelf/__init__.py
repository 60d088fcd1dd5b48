"""Keep a product's models: training publishes them and serving loads them.

`<folder>/<version>/model.json` is a model's card and lies beside its artefacts, `<folder>/current`
names the model in use, `<folder>/history.jsonl` lists what was published, promoted and withdrawn.
Nothing here knows a product: `kinds` loads a kind of model, and a product checks its own further
requirements itself (docs/decisions/0009).
"""
