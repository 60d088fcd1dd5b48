"""Measure the stores, which export nothing themselves: Kafka, Redis, the registry, the lake."""
