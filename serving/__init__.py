"""Serve readers: consumers that write Redis, and the API that reads it."""
