"""Bridges from other libraries: each a file, imported only by who has that library."""
