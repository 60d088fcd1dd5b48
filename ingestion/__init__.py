"""How events get into Kafka: contracts, producers, replays, simulators."""
