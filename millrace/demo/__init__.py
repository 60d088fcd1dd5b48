"""`millrace demo`: from nothing to scored transactions, live."""
