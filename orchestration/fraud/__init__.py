"""Train card fraud's model on public or simulated data."""
