"""Define the jobs: each file is its topology, submitted by processing/submission.py."""
