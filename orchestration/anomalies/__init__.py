"""Anomaly detection: the detectors compiled, what they are compared with, public benchmarks."""
