"""How much each client makes of the same bad days; the clients are TypeScript, beside this."""
