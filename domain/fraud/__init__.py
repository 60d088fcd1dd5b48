"""Card fraud: features, decision policy and the job's plain-Python twin."""
