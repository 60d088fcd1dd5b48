"""Sensors: readings, detectors, alerts."""
