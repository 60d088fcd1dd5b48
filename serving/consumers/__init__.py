"""Run consumers: one topic in, Redis (and sometimes a topic) out."""
