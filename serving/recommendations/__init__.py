"""Recommendations: keys, consumer, the server of its index, routes."""
