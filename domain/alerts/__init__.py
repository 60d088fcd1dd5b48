"""The life of alerts, whatever they are about."""
