"""Hold the fields of the settings by what they are about."""
