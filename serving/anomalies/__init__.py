"""Detect anomalies in windows of features, explain them, and keep their history in SQL."""
