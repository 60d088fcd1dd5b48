"""Detectors of anomalies, one reading at a time, in plain Python: the specification.

Each takes a reading and returns a score made before the reading is learnt, so no score has seen
what comes later. What runs fast is compared with these bit by bit. State is bounded, and there is
no clock and no randomness but what is passed in.
"""
