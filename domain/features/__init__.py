"""Feature declarations: data, written once, read by everything that needs them."""
