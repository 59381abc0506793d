"""The peers' apps. They run on .venv-peers' Python; nothing of ours imports them."""
