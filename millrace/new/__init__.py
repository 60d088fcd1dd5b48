"""What `millrace new` writes."""
