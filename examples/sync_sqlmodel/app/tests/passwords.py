"""What Ada remembers."""

PASSWORD = "a long walk at noon"
