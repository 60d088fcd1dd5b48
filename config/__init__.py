"""Define what a deployment may change: settings, topics, products."""
