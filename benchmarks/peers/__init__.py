"""The same job in other stream processors, which have an environment of their own."""
