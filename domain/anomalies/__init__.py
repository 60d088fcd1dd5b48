"""What learned detectors of anomalies agree on: rows of features, thresholds, answers."""
