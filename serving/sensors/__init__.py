"""Serve sensors as they stand: keys, consumer, routes."""
