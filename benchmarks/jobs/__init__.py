"""Flink jobs that exist only to be measured."""
