"""What readers see: consumers that write Redis, the API that reads it."""
