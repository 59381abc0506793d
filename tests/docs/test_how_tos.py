"""The tutorial and the how-tos do what they say: their files are written, imported, and asked."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import jwt
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from batonpass.server import migrations
from batonpass.server.app import build_app
from batonpass.server.settings import load_settings
from tests.docs.apps import (
    EMAIL,
    FORM,
    OLD_SECRET,
    PASSWORD,
    SECRET,
    create_user,
    written,
)
from tests.docs.pages import DOCS, ROOT, code_blocks, files_of
from tests.docs.terminal import Shell, commands_of, matches, serving

HOW_TO = DOCS / "how-to"
TUTORIAL = DOCS / "tutorial.md"
USERS_ADDRESS = "203.0.113.9"


# --- the tutorial ------------------------------------------------------------------------------


async def test_the_tutorial_leads_from_nothing_to_a_thief_who_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = list(commands_of(code_blocks(TUTORIAL, "console")))
    assert sum(command.startswith("curl") for command, _ in told) == 8

    with written(files_of(TUTORIAL, "python"), folder) as names:
        async with serving(names["app"]) as client:
            shell = Shell(client, names["auth"].clock)
            for command, printed in told:
                answered = await shell.run(command)

                assert matches(answered, printed), f"{command}\nprints {answered}\nnot {printed}"

    assert f"To {EMAIL}: a copy of your session was used" in capsys.readouterr().out


def test_the_tutorial_runs_every_python_block() -> None:
    assert "".join(code_blocks(TUTORIAL, "python")) == files_of(TUTORIAL, "python")["app.py"]


# --- an app that exists ------------------------------------------------------------------------


async def test_whoever_is_signed_in_when_an_app_changes_stays_so(folder: Path) -> None:
    files = files_of(HOW_TO / "existing-app.md", "python")
    assert set(files) == {"models.py", "before.py", "app.py"}
    now = datetime.now(UTC)  # noqa: TID251 - PyJWT asks the machine's clock
    over = jwt.encode({"sub": "1", "exp": now - timedelta(seconds=1)}, OLD_SECRET, "HS256")
    foreign = jwt.encode({"sub": "1", "exp": now + timedelta(hours=1)}, SECRET, "HS256")

    with written(files, folder) as names:
        models = sys.modules["models"]
        create_user(models.User, vars(models))
        before = importlib.import_module("before")
        async with serving(before.app) as client:
            old = (await client.post("/token", data=FORM)).json()["access_token"]
        async with serving(names["app"]) as client:
            first = await client.post("/auth/token", data=FORM)
            renewed = await client.post("/auth/refresh")
            asked = {
                token: await client.get("/me", headers={"Authorization": f"Bearer {token}"})
                for token in (old, renewed.json()["access_token"], over, foreign)
            }

    assert (first.status_code, renewed.status_code) == (200, 200)
    assert [one.status_code for one in asked.values()] == [200, 200, 401, 401]
    assert asked[old].json() == EMAIL


def test_an_apps_own_migrations_find_exactly_our_tables(folder: Path) -> None:
    files = files_of(HOW_TO / "existing-app.md", "python")

    with written(files, folder) as names:
        models = sys.modules["models"]
        models.User.__table__.create(names["engine"])
        with names["engine"].connect() as connection:
            found = compare_metadata(MigrationContext.configure(connection), models.Base.metadata)
        ours = {table.name for table in names["auth"].tables.all}

    assert {one[1].name for one in found if one[0] == "add_table"} == ours
    assert {one[0] for one in found} <= {"add_table", "add_index"}


# --- coming from -------------------------------------------------------------------------------


async def test_the_app_of_coming_from_does_what_its_tables_promise(folder: Path) -> None:
    page = DOCS / "coming-from.md"
    with written(files_of(page, "python"), folder) as names:
        create_user(names["User"], names)
        async with serving(names["app"]) as client:
            nobody = await client.get("/greeting")
            answer = await client.post("/auth/token", data=FORM)
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            paths = ("/me", "/greeting", "/whoami")
            somebody = [(await client.get(path)).json() for path in paths]
            left = await client.delete("/me")
            ended = await client.post("/leave-everywhere")
            refused = await client.get("/me")

    assert answer.json()["expires_in"] == 15 * 60
    assert nobody.json() == "Hello, stranger."
    assert somebody == [EMAIL, f"Hello, {EMAIL}.", "1"]
    assert (left.json(), ended.json()) == ("Goodbye, 1.", 1)
    assert (refused.status_code, refused.json()["code"]) == (401, "session_revoked")


@pytest.mark.parametrize("block", code_blocks(DOCS / "coming-from.md", "py"))
def test_what_other_libraries_wrote_is_python_at_least(block: str) -> None:
    assert ast.parse(block).body


# --- who may what, and in whose name -----------------------------------------------------------


async def test_a_role_is_heard_of_when_it_changes_and_an_account_when_it_closes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:///app.db")
    root = {"username": "root@example.com", "password": PASSWORD}
    with written(files_of(HOW_TO / "roles-and-claims.md", "python"), folder) as names:
        await _create_two(names, "admin")
        async with serving(names["app"]) as ada, _another(names["app"]) as admin:
            for client, form in ((ada, FORM), (admin, root)):
                client.headers.update(_bearer(await client.post("/auth/token", data=form)))
            refused = await ada.delete("/articles/7")
            changed = await admin.put("/accounts/1/role", params={"role": "editor"})
            still_refused = await ada.delete("/articles/7")
            ada.headers.update(_bearer(await ada.post("/auth/refresh")))
            deleted = await ada.delete("/articles/7")
            not_hers = await ada.delete("/accounts/2")
            closed = await admin.delete("/accounts/1")
            over = [await ada.delete("/articles/7"), await ada.post("/auth/refresh")]
            locked_out = await ada.post("/auth/token", data=FORM)
        await names["engine"].dispose()

    assert [refused.status_code, still_refused.status_code, not_hers.status_code] == [403] * 3
    assert (changed.json(), deleted.json(), closed.json()) == (1, "Article 7 is gone.", 1)
    assert [one.status_code for one in (*over, locked_out)] == [401] * 3


async def test_support_acts_in_a_users_name_for_an_hour_and_is_named(folder: Path) -> None:
    support = {"username": "root@example.com", "password": PASSWORD}
    with written(files_of(HOW_TO / "impersonation.md", "python"), folder) as names:
        await _create_two(names, None)
        clock = names["auth"].clock
        async with serving(names["app"]) as ada, _another(names["app"]) as client:
            ada.headers.update(_bearer(await ada.post("/auth/token", data=FORM)))
            nobody = await ada.post("/support/act-as/2")
            client.headers.update(_bearer(await client.post("/auth/token", data=support)))
            answer = await client.post("/support/act-as/1")
            client.headers.update(_bearer(answer))
            left = await client.delete("/me")
            letter = await client.post("/letters")
            own = await ada.post("/letters")
            told = (await ada.get("/auth/events")).json()["events"]
            clock.follow(clock.now() + timedelta(minutes=59))
            late = await client.post("/auth/refresh")
            clock.follow(clock.now() + timedelta(minutes=2))
            over = await client.post("/auth/refresh")

    assert (nobody.status_code, answer.status_code) == (404, 200)
    assert (left.status_code, left.json()["code"]) == (403, "actor_not_allowed")
    assert (letter.status_code, own.status_code) == (403, 200)
    assert "2" in {one["details"].get("actor") for one in told}
    assert (late.status_code, over.status_code) == (200, 401)


# --- where it is served ------------------------------------------------------------------------


async def test_behind_nginx_as_it_is_set_up_there_an_app_knows_who_asks_and_where(
    folder: Path,
) -> None:
    headers = _said_by_nginx()

    with written(_readme_with(HOW_TO / "behind-nginx.md"), folder) as names:
        create_user(names["Account"], names)
        async with names["app"].router.lifespan_context(names["app"]):
            app = ProxyHeadersMiddleware(names["app"], trusted_hosts="127.0.0.1")
            async with _from_the_proxy(app) as proxy:
                answer = await proxy.post("/auth/token", data=FORM, headers=headers)
                direct = await proxy.post("/auth/token", data=FORM, headers=_BROWSER)
                token = answer.json()["access_token"]
                shown = await proxy.get(
                    "/auth/sessions", headers={"Authorization": f"Bearer {token}", **headers}
                )

    assert "__Host-Http-refresh_token=" in answer.headers["set-cookie"]
    assert USERS_ADDRESS in {one["ip"] for one in shown.json()}
    assert direct.status_code == 200  # public_url says what no header has to


async def test_behind_a_proxy_that_says_nothing_it_goes_wrong_as_the_page_says(
    folder: Path,
) -> None:
    app_alone, with_auth, _ = code_blocks(ROOT / "README.md", "python")

    with written({"app.py": app_alone + with_auth}, folder) as names:
        create_user(names["Account"], names)
        app = names["app"]
        async with app.router.lifespan_context(app), _from_the_proxy(app) as proxy:
            plain = await proxy.post("/auth/token", data=FORM)
            refused = await proxy.post("/auth/token", data=FORM, headers=_BROWSER)

    assert plain.headers["set-cookie"].startswith("refresh_token=")
    assert "secure" not in plain.headers["set-cookie"].lower()
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")


async def test_behind_nginx_the_server_knows_who_asks_and_where(
    folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = code_blocks(HOW_TO / "behind-nginx.md", "ini")
    for line in block.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    migrations.upgrade(sqlite_url)
    settings = load_settings(database_url=sqlite_url, BATONPASS_SECRET_KEY=SECRET, _env_file=None)
    assert settings.is_production
    app = build_app(settings)

    headers = _said_by_nginx()
    async with app.router.lifespan_context(app), _from_the_proxy(app) as proxy:
        account = {"email": EMAIL, "password": PASSWORD}
        await proxy.post("/auth/register", json=account, headers=headers)
        answer = await proxy.post("/auth/token", data=FORM, headers=headers)
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        shown = await proxy.get("/auth/sessions", headers={**bearer, **headers})

    assert "__Host-Http-refresh_token=" in answer.headers["set-cookie"]
    assert [one["ip"] for one in shown.json()] == [USERS_ADDRESS]


async def test_pages_on_another_origin_may_log_in_and_refresh_and_no_third_may(
    folder: Path,
) -> None:
    pages, third = "https://app.example.com", "https://evil.example"
    with written(_readme_with(HOW_TO / "another-origin.md"), folder) as names:
        create_user(names["Account"], names)
        async with serving(names["app"]) as client:
            client.base_url = httpx.URL("https://api.example.com")
            asks = {"Access-Control-Request-Method": "POST", "Origin": pages}
            preflight = await client.options("/auth/token", headers=asks)
            site = {"Origin": pages, "Sec-Fetch-Site": "same-site"}
            answer = await client.post("/auth/token", data=FORM, headers=site)
            renewed = await client.post("/auth/refresh", headers=site)
            other = {"Origin": third, "Sec-Fetch-Site": "cross-site"}
            refused = await client.post("/auth/refresh", headers=other)

    assert preflight.status_code == 200
    for one in (preflight, answer, renewed):
        assert one.headers["access-control-allow-origin"] == pages
        assert one.headers["access-control-allow-credentials"] == "true"
    assert renewed.json()["generation"] == 1
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


# --- how ---------------------------------------------------------------------------------------

_BROWSER = {"Origin": "https://app.example.com"}  # one that sends no Sec-Fetch-Site


async def _create_two(names: dict[str, Any], role: str | None) -> None:
    """Make Ada, and root: of that role, or else of support."""
    account = names["Account"]
    hashed = names["passwords"].hash(PASSWORD)
    special = {"is_support": True} if role is None else {"role": role}
    users = [
        account(email=EMAIL, password_hash=hashed),
        account(email="root@example.com", password_hash=hashed, **special),
    ]
    engine = names["engine"]
    if isinstance(engine, AsyncEngine):
        async with AsyncSession(engine) as db:
            await (await db.connection()).run_sync(account.metadata.create_all)
            db.add_all(users)
            await db.commit()
        return
    account.metadata.create_all(engine)
    with Session(engine) as db:
        db.add_all(users)
        db.commit()


def _another(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cast("Any", app))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")


def _bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _readme_with(page: Path) -> dict[str, str]:
    """Take the README's app, and in it a page's `auth` in place of the README's own."""
    app_alone, with_auth, _ = code_blocks(ROOT / "README.md", "python")
    (block,) = code_blocks(page, "python")
    own, found = re.subn(
        r"^auth = Batonpass\(.*\)\n", lambda _: block, with_auth, flags=re.MULTILINE
    )
    assert found == 1
    return {"app.py": app_alone + own}


def _said_by_nginx() -> dict[str, str]:
    """Read the page's nginx.conf; return what a request from a browser has behind that proxy."""
    (text,) = code_blocks(HOW_TO / "behind-nginx.md", "nginx")
    (server,) = _directives(iter(re.findall(r"[{};]|[^\s{};]+", text)))
    assert server[0] == ["server"]
    inside = {" ".join(words): block for words, block in server[1]}
    (proxied,) = (block for words, block in inside.items() if words.startswith("location ~"))
    set_by_it = {words[1]: words[2] for words, _ in proxied if words[0] == "proxy_set_header"}
    variables = {"$host": "app.example.com", "$scheme": "https", "$remote_addr": USERS_ADDRESS}
    assert ["proxy_pass", "http://127.0.0.1:8001"] in [words for words, _ in proxied]
    return {name: variables[value] for name, value in set_by_it.items()} | _BROWSER


def _directives(tokens: Iterator[str]) -> list[tuple[list[str], Any]]:
    """Read nginx's form: words, then a semicolon or a block of more of them."""
    found: list[tuple[list[str], Any]] = []
    words: list[str] = []
    for token in tokens:
        if token == ";":
            assert words, "a directive has a name"
            found.append((words, None))
            words = []
        elif token == "{":
            found.append((words, _directives(tokens)))
            words = []
        elif token == "}":
            break
        else:
            words.append(token)
    assert not words, f"no semicolon after {words}"
    return found


def _from_the_proxy(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cast("Any", app), client=("127.0.0.1", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001")
