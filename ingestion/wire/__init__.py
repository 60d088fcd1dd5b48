"""The wire format: Avro records to bytes and back, and the registry that knows their schemas."""
