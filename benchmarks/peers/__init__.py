"""The same job written for other stream processors (an environment of their own: `.venv-peers`)."""
