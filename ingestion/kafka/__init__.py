"""Talk to Kafka: the producer, topic administration and the quarantine."""
