"""Define the `millrace` command."""
