"""Card fraud: keys, consumer, routes."""
