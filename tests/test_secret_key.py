"""What may be a secret."""

import base64
import hashlib
import secrets

import pytest

from batonpass.errors import ConfigurationError
from batonpass.secret_key import parse_secrets

OLD = bytes.fromhex("3a7f1c9be2d4405861fa0c77b39de815a6c2f0914e8b5d23970c6fd1be48a352")
NEW = bytes.fromhex("c81e05d7936ab24f7d20e9583bf4160c9da571e8624fb03917dc8a65f02b4ed3")


def base64url(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode()


@pytest.mark.parametrize(("text", "read"), [
    pytest.param(OLD.hex(), (OLD,), id="hex"),
    pytest.param(OLD.hex().upper(), (OLD,), id="hex in capitals"),
    pytest.param(base64url(OLD), (OLD,), id="base64url with its padding"),
    pytest.param(base64url(OLD).rstrip("="), (OLD,), id="base64url without"),
    pytest.param(f" {NEW.hex()} , {base64url(OLD)} ", (NEW, OLD), id="the first one issues"),
    pytest.param(f"{OLD.hex()},{base64url(OLD)}", (OLD,), id="the same twice counts once"),
    pytest.param((OLD + NEW).hex(), (OLD + NEW,), id="longer than needed"),
])  # fmt: skip
def test_a_good_secret_is_read(text: str, read: tuple[bytes, ...]) -> None:
    assert parse_secrets(text) == read


@pytest.mark.parametrize(("text", "problem"), [
    pytest.param("", "is empty", id="nothing"),
    pytest.param(OLD.hex() + ",", "key 2 is empty", id="a comma too many"),
    pytest.param(OLD[:31].hex(), "31 bytes", id="one byte short, hex"),
    pytest.param(base64url(OLD[:31]), "31 bytes", id="one byte short, base64url"),
    pytest.param(OLD.hex()[:-1], "odd number", id="a digit got lost"),
    pytest.param(OLD.hex() + "!", "neither hex nor base64url", id="another character"),
    pytest.param("+/" + base64url(OLD), "neither hex nor base64url", id="plain base64"),
    pytest.param("é" * 64, "neither hex nor base64url", id="not ASCII"),
    pytest.param("Z" * 45, "neither hex nor base64url", id="a length that base64url never has"),
    pytest.param("my-very-own-Secret-that-is-long-enough-for-all", "everybody", id="a phrase"),
    pytest.param("ChangeMe" + base64url(OLD)[:36], "everybody", id="a default with a tail"),
    pytest.param("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "everybody",
                 id="the one of FastAPI's tutorial"),
    pytest.param(hashlib.sha256(b"password").hexdigest(), "everybody", id="a word, hashed"),
    pytest.param("00" * 32, "pattern", id="zeros"),
    pytest.param("Z" * 43, "pattern", id="one letter"),
    pytest.param("deadbeef" * 8, "pattern", id="a short period"),
    pytest.param("0123456789abcdef" * 4, "pattern", id="a longer period"),
    pytest.param("xyz-12" * 10, "pattern", id="a period that base64url hides"),
    pytest.param(bytes(range(32)).hex(), "pattern", id="counting up"),
    pytest.param(bytes(range(255, 191, -2)).hex(), "pattern", id="counting down by two"),
    pytest.param("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR", "pattern", id="the alphabet"),
    pytest.param("00" * 40 + OLD[:8].hex(), "pattern", id="mostly zeros"),
    pytest.param(bytes([*OLD[:10], *OLD[9::-1], *OLD[:12]]).hex(), "pattern", id="few bytes"),
    pytest.param(f"{OLD.hex()},{NEW[:31].hex()}", "key 2 has 31 bytes", id="the second is short"),
])  # fmt: skip
def test_s_key_5_a_bad_secret_is_refused_with_its_cure(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_secrets(text)

    assert "SECRET_KEY" in refused.value.detail
    assert problem in refused.value.detail
    assert "secrets.token_hex(32)" in refused.value.detail


def test_s_key_5_a_refusal_shows_nothing_of_the_secret() -> None:
    text = OLD[:31].hex()

    with pytest.raises(ConfigurationError) as refused:
        parse_secrets(text)

    shown = repr(refused.value) + refused.value.detail
    assert not any(text[at : at + 6] in shown for at in range(len(text) - 5))


def test_s_key_5_a_random_secret_is_never_refused() -> None:
    for _ in range(500):
        secret = secrets.token_bytes(32)
        assert parse_secrets(secret.hex()) == parse_secrets(base64url(secret)) == (secret,)
