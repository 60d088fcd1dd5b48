"""Readings of sensors: their limits' file, a simulator, and files to replay."""
