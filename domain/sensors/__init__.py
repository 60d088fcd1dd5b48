"""What readings of sensors mean: their quality, what is unusual of them, and their alerts."""
