"""Run stateful computations in Flink: the jobs, their tables and their kernel."""
