"""The recommendation engine: an index of sessions, scoring, popularity.

Pure: no I/O, no clock, no randomness. The evaluation and the consumer call the same code.
"""
