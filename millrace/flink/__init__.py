"""Manage the cluster's jobs: Flink's REST client, submission, the keeper."""
