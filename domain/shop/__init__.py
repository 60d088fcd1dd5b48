"""Say what a shop's events mean."""
