"""What the business means: events, feature declarations, the reference engine, rules, errors.

Standard library only.
"""
