"""Measure the stores, which export nothing themselves: Kafka, Redis and the registry."""
