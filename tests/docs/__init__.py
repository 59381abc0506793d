"""The documentation: its code runs, its tables are true, its links lead somewhere."""
