"""Where families live: lock, judge, write, as one group commit."""
