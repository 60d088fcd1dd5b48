"""Train the model that decides on a shop's order lines."""
