"""One module a product, named like its consumer in config/products.yaml."""
