"""Serve the shop's business metrics: keys, consumer, routes."""
