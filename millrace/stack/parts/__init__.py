"""The servers of the stack that are not ours: configuration and command line of each."""
