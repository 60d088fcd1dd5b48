"""Serve the inventory: keys, consumer, routes."""
