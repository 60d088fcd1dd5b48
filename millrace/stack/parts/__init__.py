"""Configure the third-party servers of the stack and build their command lines."""
