"""Define card fraud: its features, its decision policy and the job's plain-Python twin."""
