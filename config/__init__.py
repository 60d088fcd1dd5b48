"""Settings, constants, topics and products: what a deployment may change."""
