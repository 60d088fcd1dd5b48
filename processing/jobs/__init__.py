"""Job files: each is its topology and nothing else, submitted by processing/submission.py."""
