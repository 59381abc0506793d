"""The tests: they mirror src/batonpass file for file."""
