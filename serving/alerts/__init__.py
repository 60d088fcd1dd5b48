"""Serve alerts, of every product: keys, consumer, routes."""
