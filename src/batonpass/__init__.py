"""Secure sessions for FastAPI + React: the public names, re-exported; nothing else."""
