"""Card payments from outside: the Handbook's files and the simulator made after it."""
