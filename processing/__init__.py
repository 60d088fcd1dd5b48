"""Flink jobs, their tables and their kernel."""
