"""Bring events into Kafka: contracts, producers, replays, simulators."""
