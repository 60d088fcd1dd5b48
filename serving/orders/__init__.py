"""Decide on a shop's order lines: the scoring consumer and the routes."""
