"""What an operator may say, what is refused, and what production refuses beyond that."""

import os
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from batonpass.errors import ConfigurationError
from batonpass.server import settings as settings_module
from batonpass.server.settings import (
    Settings,
    load_settings,
    network_file_system,
    production_problems,
    read_or_make_secret,
    require_safe,
    unknown_settings,
)
from batonpass.server.throttle import LoginLimits
from tests.server.together import run_together

# Not a pattern, not published: keys.py refuses those.
SECRET = "8f3a1c5be07d92446b1fd0c3a97e58226cb4f1d03e9a75c81b60fd24937ae85c"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin in an empty folder, with none of our variables."""
    for name in os.environ:
        if name.startswith("BATONPASS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Say:
    """Sets variables by their names without the prefix, and loads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, **variables: str) -> Settings:
        for name, value in variables.items():
            self._monkeypatch.setenv(f"BATONPASS_{name}", value)
        return load_settings()

    def production(self, **variables: str) -> Settings:
        """Say what is safe in production, but for `variables`; an empty one is left out."""
        safe = {
            "ENVIRONMENT": "production",
            "SECRET_KEY": SECRET,
            "PUBLIC_URL": "https://app.test",
            "DATABASE_URL": "postgresql://app@db.test/app?sslmode=verify-full",
        }
        return self(**{name: value for name, value in (safe | variables).items() if value})


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    return Say(monkeypatch)


def test_the_defaults_are_the_contracts() -> None:
    settings = load_settings()

    assert settings.environment == "development"
    assert not settings.is_production
    assert settings.database_url == "sqlite:///batonpass.db"
    assert settings.public_url is None
    policy = settings.policy
    assert policy.access_token_lifetime == timedelta(minutes=30)
    assert policy.idle_limit == timedelta(days=7)
    assert policy.absolute_limit == timedelta(days=30)
    assert policy.grace == timedelta(seconds=30)
    assert policy.sessions_per_user == 100
    assert policy.history == timedelta(days=7)
    assert policy.not_before is None
    assert (settings.jwt_algorithm, settings.jwt_issuer, settings.jwt_audience) == (
        "ES256",
        "batonpass",
        "batonpass",
    )
    assert settings.cors_origins == ()
    assert settings.cookie_secure is None
    assert settings.cookie_samesite == "strict"
    assert settings.device_binding == "off"
    assert settings.login_limits == LoginLimits()
    assert settings.registration == "open"
    assert settings.smtp_url is None
    assert settings.trusted_proxies == ()
    assert settings.metrics is False
    assert settings.log_format is None


def test_everything_that_is_said_counts(say: Say) -> None:
    settings = say(
        ACCESS_TOKEN_EXPIRE_MINUTES="0.5",
        REFRESH_TOKEN_EXPIRE_DAYS="0.25",
        SESSION_MAX_DAYS="1",
        REFRESH_GRACE_SECONDS="2.5",
        SESSIONS_PER_USER="3",
        ROTATION_HISTORY_DAYS="0",
        CORS_ORIGINS="https://a.test, http://localhost:5173",
        TRUSTED_PROXIES="10.0.0.0/8,2001:db8::1",
        RATE_LIMIT_LOGIN="off",
        COOKIE_SECURE="true",
        PUBLIC_URL="https://app.test/",
        METRICS="true",
    )

    assert settings.policy.access_token_lifetime == timedelta(seconds=30)
    assert settings.policy.idle_limit == timedelta(hours=6)
    assert settings.policy.absolute_limit == timedelta(days=1)
    assert settings.policy.grace == timedelta(seconds=2.5)
    assert settings.policy.sessions_per_user == 3
    assert settings.policy.history == timedelta(0)
    assert settings.cors_origins == ("https://a.test", "http://localhost:5173")
    assert settings.proxy_networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::1"))
    assert settings.login_limits is None
    assert settings.cookie_secure is True
    assert settings.public_url == "https://app.test"
    assert settings.metrics is True


def test_a_file_says_it_too_and_the_environment_wins(say: Say, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "BATONPASS_JWT_ISSUER=file\nBATONPASS_JWT_AUDIENCE=file\nOTHER_APP=1\n"
    )

    settings = say(JWT_ISSUER="environment")

    assert (settings.jwt_issuer, settings.jwt_audience) == ("environment", "file")


def test_production_keeps_no_history_and_is_over_https(say: Say) -> None:
    settings = say.production()

    assert settings.policy.history == timedelta(0)
    assert settings.cookie_secure is True


URLS = [
    pytest.param("postgres://u@h/d", "postgresql://u@h/d", id="the old name"),
    pytest.param("postgresql+asyncpg://u@h/d", "postgresql://u@h/d", id="with a driver"),
    pytest.param("postgresql://u:p%40@h:5433/d", "postgresql://u:p%40@h:5433/d", id="as it is"),
    pytest.param("sqlite+aiosqlite:///a.db", "sqlite:///a.db", id="sqlite with a driver"),
]


@pytest.mark.parametrize(("said", "meant"), URLS)
def test_a_database_is_named_without_its_driver(say: Say, said: str, meant: str) -> None:
    assert say(DATABASE_URL=said).database_url == meant


BAD = [
    ("ENVIRONMENT", "prod"),
    ("DATABASE_URL", "mysql://u@h/d"),
    ("DATABASE_URL", "batonpass.db"),
    ("DATABASE_URL", "postgresql://h:port/d"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("PUBLIC_URL", "app.test"),
    ("PUBLIC_URL", "https://app.test/path"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "soon"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "nan"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "1440.1"),  # every login would be a fault of ours
    ("REFRESH_TOKEN_EXPIRE_DAYS", "-1"),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "1e300"),
    ("SESSION_MAX_DAYS", "inf"),
    ("REFRESH_GRACE_SECONDS", "-0.1"),
    ("REFRESH_GRACE_SECONDS", "inf"),
    ("SESSIONS_PER_USER", "0"),
    ("SESSIONS_PER_USER", "1.5"),
    ("JWT_ALGORITHM", "none"),
    ("JWT_ISSUER", ""),
    ("CORS_ORIGINS", "*"),
    ("CORS_ORIGINS", "null"),
    ("CORS_ORIGINS", "https://*.a.test"),
    ("CORS_ORIGINS", "https://a.test/"),
    ("CORS_ORIGINS", "https://a.test/path"),
    ("CORS_ORIGINS", "https://a.test:443"),
    ("CORS_ORIGINS", "https://a.test:"),
    ("CORS_ORIGINS", "https://a.test:99999"),
    ("CORS_ORIGINS", "https://user@a.test"),
    ("CORS_ORIGINS", "HTTPS://a.test"),
    ("CORS_ORIGINS", "https://A.test"),
    ("CORS_ORIGINS", "https://bücher.test"),
    ("CORS_ORIGINS", "https://a b.test"),
    ("CORS_ORIGINS", "https://a.test?x"),
    ("CORS_ORIGINS", "a.test"),
    ("CORS_ORIGINS", "file://"),
    ("CORS_ORIGINS", "https://good.test,*"),
    ("COOKIE_SECURE", "maybe"),
    ("COOKIE_SAMESITE", "Lax!"),
    ("ROTATION_HISTORY_DAYS", "-1"),
    ("DEVICE_BINDING", "on"),
    ("RATE_LIMIT_LOGIN", "10/15m"),
    ("REGISTRATION", "free"),
    ("DEVICE_BINDING", "offer"),  # not in this release
    ("DEVICE_BINDING", "require"),
    ("REGISTRATION", "confirm"),  # without SMTP_URL
    ("TRUSTED_PROXIES", "proxy.test"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("METRICS", "perhaps"),
    ("LOG_FORMAT", "xml"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_one_sentence_that_names_its_setting(
    say: Say, name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        say(**{name: value})

    sentence = caught.value.detail
    assert f"BATONPASS_{name}" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 300


def test_every_bad_value_is_named_at_once(say: Say) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)JWT_ALGORITHM.*METRICS"):
        say(JWT_ALGORITHM="none", METRICS="perhaps")


@pytest.mark.parametrize("name", ["SECRET_KEY", "SMTP_URL", "DATABASE_URL"])
def test_what_is_secret_is_neither_shown_nor_quoted(say: Say, name: str) -> None:
    hidden = f"mysql://user:{SECRET}@host/"

    try:
        shown = repr(say(**{name: hidden}))
    except ConfigurationError as error:
        shown = error.detail

    assert SECRET not in shown


def test_a_misspelt_name_is_told_with_its_neighbour(say: Say, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BATONPASS_JWT_ISUER=a\n")
    say(REFRESH_GRACE_SECOND="30", TEST_POSTGRES="x", SECRET_KEY=SECRET)

    assert unknown_settings() == {
        "BATONPASS_JWT_ISUER": "BATONPASS_JWT_ISSUER",
        "BATONPASS_REFRESH_GRACE_SECOND": "BATONPASS_REFRESH_GRACE_SECONDS",
    }


def test_a_name_like_none_is_told_without(say: Say) -> None:
    say(QQQQ="1")

    assert unknown_settings() == {"BATONPASS_QQQQ": None}


# --- the secret --------------------------------------------------------------------------------


def test_s_key_5_development_makes_a_secret_once_beside_the_database(
    say: Say, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    first = say(DATABASE_URL="sqlite:///data/app.db").secrets

    assert say().secrets == first
    assert len(first[0]) == 32
    path = tmp_path / "data" / "batonpass.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["batonpass.key"]


def test_a_secret_that_is_said_makes_no_file(say: Say, tmp_path: Path) -> None:
    assert say(SECRET_KEY=SECRET).secrets == (bytes.fromhex(SECRET),)
    assert list(tmp_path.iterdir()) == []


def test_s_key_5_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "batonpass.key"
    read_or_make_secret(path)
    path.chmod(0o640)

    with pytest.raises(ConfigurationError, match=r"chmod 600"):
        read_or_make_secret(path)


def test_processes_that_start_at_once_get_the_same_secret(tmp_path: Path) -> None:
    made = run_together(
        "from pathlib import Path\nfrom batonpass.server.settings import read_or_make_secret",
        "print(read_or_make_secret(Path(sys.argv[1])))",
        [str(tmp_path / "batonpass.key")],
    )

    assert len(set(made)) == 1
    assert len(made[0].strip()) == 64
    assert [file.name for file in tmp_path.iterdir()] == ["batonpass.key"]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere"):
        read_or_make_secret(tmp_path / "nowhere" / "batonpass.key")


@pytest.mark.parametrize("secret", ["", "short", "a" * 64, "not base64 at all!" * 3])
def test_s_key_5_a_weak_secret_is_refused_by_its_setting(say: Say, secret: str) -> None:
    with pytest.raises(ConfigurationError, match=r"BATONPASS_SECRET_KEY"):
        _ = say(SECRET_KEY=secret).secrets


# --- production --------------------------------------------------------------------------------


def test_what_is_safe_has_no_problem(say: Say) -> None:
    assert production_problems(say.production()) == []


UNSAFE = [
    ({"SECRET_KEY": ""}, "SECRET_KEY"),
    ({"SECRET_KEY": "a" * 64}, "SECRET_KEY"),
    ({"COOKIE_SECURE": "false"}, "COOKIE_SECURE"),
    ({"PUBLIC_URL": "", "TRUSTED_PROXIES": "10.0.0.1"}, "PUBLIC_URL"),
    ({"PUBLIC_URL": "http://app.test"}, "PUBLIC_URL"),
    ({"COOKIE_SAMESITE": "none"}, "COOKIE_SAMESITE"),
    ({"CORS_ORIGINS": "http://a.test"}, "CORS_ORIGINS"),
    ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES"),
    ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES"),
    ({"TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1"}, "TRUSTED_PROXIES"),
    ({"RATE_LIMIT_LOGIN": "off"}, "RATE_LIMIT_LOGIN"),
    ({"REFRESH_GRACE_SECONDS": "300.1"}, "REFRESH_GRACE_SECONDS"),
    ({"REFRESH_TOKEN_EXPIRE_DAYS": "31"}, "REFRESH_TOKEN_EXPIRE_DAYS"),
    ({"DATABASE_URL": "postgresql://u@db.test/d"}, "DATABASE_URL"),
    ({"DATABASE_URL": "postgresql://u@db.test/d?sslmode=prefer"}, "DATABASE_URL"),
    ({"DATABASE_URL": "postgresql://u@192.0.2.7/d?ssl=allow"}, "DATABASE_URL"),
]


@pytest.mark.parametrize(("variables", "setting"), UNSAFE)
def test_s_ops_1_production_refuses_it_and_names_the_cure(
    say: Say, variables: dict[str, str], setting: str
) -> None:
    problems = production_problems(say.production(**variables))

    assert [problem.setting for problem in problems] == [f"BATONPASS_{setting}"]
    assert all(problem.problem and problem.cure for problem in problems)
    assert SECRET not in repr(problems)


SAFE = [
    {"COOKIE_SECURE": "true"},
    {"PUBLIC_URL": "http://localhost:8000"},
    {"COOKIE_SAMESITE": "none", "CORS_ORIGINS": "https://a.test"},
    {"CORS_ORIGINS": "http://localhost:5173"},
    {"TRUSTED_PROXIES": "10.0.0.0/8,192.0.2.1"},
    {"REFRESH_GRACE_SECONDS": "300"},
    {"REFRESH_GRACE_SECONDS": "0"},
    {"ACCESS_TOKEN_EXPIRE_MINUTES": "1440"},
    {"REFRESH_TOKEN_EXPIRE_DAYS": "30"},
    {"DATABASE_URL": "postgresql://u@localhost/d"},
    {"DATABASE_URL": "postgresql://u@127.0.0.1:5433/d"},
    {"DATABASE_URL": "postgresql://u@/d?host=/run/postgresql"},
    {"DATABASE_URL": "postgresql://u@db.test/d?ssl=require"},
    {"DATABASE_URL": "sqlite:///not-made-yet.db"},
    {"SECRET_KEY": f"{SECRET},{SECRET[::-1]}"},
]


@pytest.mark.parametrize("variables", SAFE)
def test_s_ops_1_production_takes_the_bounds(say: Say, variables: dict[str, str]) -> None:
    assert production_problems(say.production(**variables)) == []


@pytest.fixture
def readable_by_all() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("readable_by_all")
def test_s_ops_1_production_refuses_files_that_others_can_read(say: Say, tmp_path: Path) -> None:
    (tmp_path / "app.db").touch()
    (tmp_path / ".env").write_text(f"BATONPASS_SECRET_KEY={SECRET}\n")

    problems = production_problems(say.production(DATABASE_URL="sqlite:///app.db", SECRET_KEY=""))

    assert [problem.setting for problem in problems] == [
        "BATONPASS_DATABASE_URL",
        "BATONPASS_SECRET_KEY",
    ]
    assert all("chmod 600" in problem.cure for problem in problems)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/data /data nfs4 rw 0 0
/dev/sdb1 /data/local ext4 rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
server:/x /dat nfs rw 0 0
"""
PLACES = [
    pytest.param("/srv/app.db", None, id="a local disk"),
    pytest.param("/data/app.db", "nfs4", id="a network"),
    pytest.param("/data/local/app.db", None, id="a local disk below it"),
    pytest.param("/mnt/my share/a/app.db", "cifs", id="a name with a space"),
    pytest.param("/datum/app.db", None, id="a name that begins alike"),
]


@pytest.mark.parametrize(("path", "kind"), PLACES)
def test_a_network_file_system_is_seen(path: str, kind: str | None, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)

    assert network_file_system(Path(path), mounts) == kind


def test_no_file_is_on_no_network(tmp_path: Path) -> None:
    assert network_file_system(None, tmp_path) is None


def test_s_ops_1_production_refuses_sqlite_on_a_network(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("server:/data /srv nfs4 rw 0 0\n")
    monkeypatch.setattr(settings_module, "MOUNTS", mounts)

    problems = production_problems(say.production(DATABASE_URL="sqlite:////srv/app.db"))

    assert [problem.setting for problem in problems] == ["BATONPASS_DATABASE_URL"]
    assert "PostgreSQL" in problems[0].cure


@pytest.mark.parametrize("switch", ["PYTHONASYNCIODEBUG", "PYTHONDEVMODE"])
def test_s_ops_1_production_refuses_debug_mode(
    say: Say, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    monkeypatch.setenv(switch, "1")

    problems = production_problems(say.production())

    assert [(problem.setting, problem.cure) for problem in problems] == [(switch, "Unset it.")]


def test_a_missing_secret_is_named_once_with_its_cure(say: Say) -> None:
    (problem,) = production_problems(say.production(SECRET_KEY=""))

    told = f"{problem.problem} {problem.cure}"
    assert "there is none" in told
    assert told.count("Make one with") == 1


def test_only_production_is_refused(say: Say) -> None:
    require_safe(say(COOKIE_SECURE="false"))

    with pytest.raises(ConfigurationError, match=r"(?s)COOKIE_SECURE.*RATE_LIMIT_LOGIN"):
        require_safe(say.production(COOKIE_SECURE="false", RATE_LIMIT_LOGIN="off"))
