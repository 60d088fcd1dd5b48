"""Declare features as data, and compute them in plain Python."""
