"""Recommendations of the shop: the engine, its evaluation and what it is compared with."""
