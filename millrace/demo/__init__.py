"""Show the stack at work: start it, train, stream payments, watch the scores."""
