"""Serve the live page: one collector for all who look, and the panels that products add."""
