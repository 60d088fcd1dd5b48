"""Read shop events from outside: Retail Rocket's files."""
