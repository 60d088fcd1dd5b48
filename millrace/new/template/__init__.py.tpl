"""The product @NAME@: features, job, keys, consumer, routes."""
