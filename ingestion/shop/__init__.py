"""Shop events from outside: Retail Rocket's files."""
