"""Replay a source into Kafka: batches, pacing, progress."""
