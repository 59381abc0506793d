"""What stands behind the Makefile: standard library only, since it runs on a bare machine."""
