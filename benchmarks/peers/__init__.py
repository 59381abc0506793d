"""`make bench-peers`: other libraries' refreshes, beside ours in one run."""
