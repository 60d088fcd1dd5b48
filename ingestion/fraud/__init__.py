"""Read card payments from outside: the Handbook's files and the simulator modelled on it."""
