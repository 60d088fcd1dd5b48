"""Look after the lake's tables while others write to them."""
