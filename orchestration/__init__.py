"""Training and its schedules."""
