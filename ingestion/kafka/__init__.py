"""Kafka: the producer, topic administration, quarantine."""
