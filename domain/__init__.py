"""Define the business: events, feature declarations, the reference engine and decision rules.

Standard library only.
"""
