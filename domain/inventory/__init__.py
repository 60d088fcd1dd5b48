"""Say what stock means: its book, demand, run-out, alerts, and what to order."""
