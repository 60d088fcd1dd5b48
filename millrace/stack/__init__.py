"""The local stack: real Kafka, registry, Redis, Flink and our processes under one supervisor."""
