"""Train models and keep them."""
