"""Public data sets as rows to replay."""
