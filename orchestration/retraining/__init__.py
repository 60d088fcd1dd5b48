"""Retrain a product's model on a schedule: hand-over between steps, checks, gate and record.

Each step is a command that ends with its JSON; what it hands on lies in the run's folder. Nothing
here knows a product (docs/decisions/0020).
"""
