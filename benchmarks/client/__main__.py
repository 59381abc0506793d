"""Which client gets its requests through, and how many sessions does each lose?

Against `batonpass serve` on SQLite, and against a server without any grace, which `main.ts` brings
along: ours would still absorb what arrives while the first refresh is on its way.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks import servers
from benchmarks.databases import SECRET
from benchmarks.driver import HOST
from tools.steps import environment

MAIN = Path(__file__).with_name("main.ts")
LIFE_SECONDS = 2

SETTINGS = {
    "BATONPASS_DATABASE_URL": "sqlite:///sessions.db",  # in the server's own temporary folder
    "BATONPASS_SECRET_KEY": SECRET,
    "BATONPASS_ACCESS_TOKEN_EXPIRE_MINUTES": str(LIFE_SECONDS / 60),
    "BATONPASS_RATE_LIMIT_LOGIN": "off",  # who loses many sessions logs in as often
}
SERVE = (str(Path(sys.executable).with_name("batonpass")), "serve", "--port={port}", "--workers=1")


def main() -> int:
    """Start the server, and run every client against it."""
    with servers.another(SERVE, SETTINGS) as server:
        origin = f"http://{HOST}:{server.port}"
        command = ["node", str(MAIN), origin, str(LIFE_SECONDS * 1_000)]
        return subprocess.run(command, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
