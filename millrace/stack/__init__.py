"""Run the local stack: Kafka, registry, Redis, Flink and our processes under one supervisor."""
