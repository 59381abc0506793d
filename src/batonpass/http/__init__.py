"""The session over HTTP: gate, routes and dependencies, and what they stand on."""
