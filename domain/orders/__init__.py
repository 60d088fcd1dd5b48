"""Define fraud in a shop's orders: the features of an order line."""
