"""Business metrics of the shop: keys, consumer, routes."""
