"""Serve card fraud: keys, consumer, routes."""
