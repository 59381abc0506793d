"""Makes the Django project's tables and users, and prints a refresh token for each of them.

`python -m benchmarks.peers.apps.seed simplejwt 64`, or `oauth-toolkit`.
"""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import django
from django.core.management import call_command

CLIENT_ID = "browser"


def simplejwt(users: Sequence[object]) -> list[str]:
    """Issue tokens as a login does: each is noted as outstanding."""
    from rest_framework_simplejwt.tokens import RefreshToken  # noqa: PLC0415 - after setup()

    return [str(RefreshToken.for_user(user)) for user in users]


def oauth_toolkit(users: Sequence[object]) -> list[str]:
    """Write what a public client's authorization code leaves: an access and a refresh token."""
    from django.utils import timezone  # noqa: PLC0415
    from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: PLC0415
    from oauthlib.common import generate_token  # noqa: PLC0415

    application = Application.objects.create(
        client_id=CLIENT_ID,
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://app.example.com/",
    )
    tokens = []
    for user in users:
        access = AccessToken.objects.create(
            user=user,
            token=generate_token(),
            application=application,
            expires=timezone.now() + timedelta(hours=10),
            scope="read write",
        )
        refresh = RefreshToken.objects.create(
            user=user,
            token=generate_token(),
            application=application,
            access_token=access,
            token_family=uuid4(),
        )
        tokens.append(refresh.token)
    return tokens


ISSUE: dict[str, Callable[[Sequence[object]], list[str]]] = {
    "simplejwt": simplejwt,
    "oauth-toolkit": oauth_toolkit,
}


def main(peer: str, count: int) -> None:
    """Make the tables, the users and their tokens."""
    django.setup()
    from django.contrib.auth.models import User  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    User.objects.bulk_create(User(username=f"user-{number}") for number in range(count))
    print(json.dumps(ISSUE[peer](list(User.objects.all()))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
