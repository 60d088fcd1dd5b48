"""Build silver and gold by dbt, and keep both in Iceberg."""
