"""The server: the library's first customer, with users, passwords and a web app of its own."""
