"""authx in a FastAPI app: a refresh token is verified, a new pair issued, nothing stored.

`python -m benchmarks.peers.apps.authx_app 64` prints so many refresh tokens.
"""

import json
import os
import sys
from typing import Annotated

from authx import AuthX, AuthXConfig
from authx.schema import TokenPayload, TokenResponse
from fastapi import Depends, FastAPI

SECRET_KEY = "BENCHMARKS_SECRET_KEY"  # noqa: S105 - a variable's name

security: AuthX = AuthX(
    AuthXConfig(JWT_SECRET_KEY=os.environ[SECRET_KEY], JWT_TOKEN_LOCATION=["json"])
)
app = FastAPI()


@app.post("/refresh")
async def refresh(
    presented: Annotated[TokenPayload, Depends(security.refresh_token_required)],
) -> TokenResponse:
    """Issue the next pair to whoever presents a valid refresh token."""
    return security.create_token_pair(presented.sub)


if __name__ == "__main__":
    count = int(sys.argv[1])
    print(json.dumps([security.create_refresh_token(str(number)) for number in range(count)]))
