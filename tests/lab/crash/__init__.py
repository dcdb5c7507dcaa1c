"""Runs of playbooks that are crashed at every point, and what must be true after the next run."""
