"""Rules about api."""
