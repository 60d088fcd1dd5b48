"""Define the wire format: Avro records to bytes and back, and the registry of their schemas."""
