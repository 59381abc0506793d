"""One vocabulary for all tests."""
