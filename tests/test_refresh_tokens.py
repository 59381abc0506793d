"""The token's text form, its MAC, and the derivation of its successor."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonpass.refresh_tokens import (
    MAC_BYTES,
    MAX_GENERATION,
    NONCE_BYTES,
    PREFIX,
    SECRET_BYTES,
    TEXT_LENGTH,
    RefreshToken,
    Transport,
    decode,
    derive_successor,
    digest,
    encode,
)

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
THIRD_KEY = bytes(range(64, 96))
FAMILY_ID = UUID("019ab0c0-ffff-7bbb-bfff-0123456789ab")
SECRET = bytes(range(100, 132))
NONCE = bytes(range(200, 216))
TOKEN = RefreshToken(Transport.COOKIE, FAMILY_ID, 7, SECRET)
TEXT = encode(KEY, TOKEN)

tokens = st.builds(
    RefreshToken,
    transport=st.sampled_from(Transport),
    family_id=st.uuids(),
    generation=st.integers(0, MAX_GENERATION),
    secret=st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
)
keys = st.binary(min_size=32, max_size=32)


# --- The text form -----------------------------------------------------------------------------


@given(keys, tokens)
def test_a_token_survives_its_text_form(key: bytes, token: RefreshToken) -> None:
    text = encode(key, token)

    assert decode([key], text) == token
    assert len(text) == TEXT_LENGTH


def test_the_text_form_is_fixed() -> None:
    assert TEXT == (
        "bpr_AQGasMD__3u7v_8BI0VniasAAAAHZGVmZ2hpamtsbW5vcHFyc3R1dnd4"
        "eXp7fH1-f4CBgoOryxMnjPAyOkcZkl3ZY5oq"
    )


def test_the_text_form_needs_no_quoting_in_a_cookie_or_a_url() -> None:
    assert TEXT.startswith(PREFIX)
    assert TEXT.replace("_", "").replace("-", "").isalnum()
    assert TEXT.isascii()


def test_s_rt_1_each_flipped_bit_is_noticed() -> None:
    raw = urlsafe_b64decode(TEXT.removeprefix(PREFIX))

    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8

        assert decode([KEY], PREFIX + urlsafe_b64encode(flipped).decode()) is None, bit


@given(st.integers(0, TEXT_LENGTH - 1), st.characters())
def test_s_rt_1_each_changed_character_is_noticed(position: int, character: str) -> None:
    changed = TEXT[:position] + character + TEXT[position + 1 :]

    assert (decode([KEY], changed) is not None) == (changed == TEXT)


@pytest.mark.parametrize("other", [
    pytest.param(TEXT.replace("_", "/").replace("bpr/", PREFIX), id="base64's own alphabet: /"),
    pytest.param(TEXT.replace("-", "+"),                         id="base64's own alphabet: +"),
    pytest.param(TEXT + "=",                                     id="padding"),
    pytest.param(TEXT + "====",                                  id="padding that is ignored"),
    pytest.param(TEXT[:-1] + "=",                                id="padding inside"),
    pytest.param(TEXT + "\n",                                    id="a line end behind"),
    pytest.param(" " + TEXT,                                     id="a space before"),
    pytest.param(f'"{TEXT}"',                                    id="quotes"),
    pytest.param(TEXT[:50] + "\n" + TEXT[50:],                   id="a line end inside"),
    pytest.param(TEXT[:50] + "*" + TEXT[50:],                    id="a stranger inside"),
    pytest.param(TEXT.upper(),                                   id="upper case"),
    pytest.param(TEXT.replace(PREFIX, "BPR_"),                   id="the prefix in upper case"),
    pytest.param(TEXT.removeprefix(PREFIX),                      id="no prefix"),
    pytest.param(PREFIX + TEXT,                                  id="two prefixes"),
    pytest.param(TEXT.replace("b", "ｂ", 1),                      id="a full-width letter"),
])  # fmt: skip
def test_no_other_text_of_the_same_bytes_is_accepted(other: str) -> None:
    assert other != TEXT
    assert decode([KEY], other) is None


@pytest.mark.parametrize("garbage", [
    pytest.param("",                                   id="nothing"),
    pytest.param(PREFIX,                               id="the prefix alone"),
    pytest.param(PREFIX + "A" * (TEXT_LENGTH - 4),     id="zeros"),
    pytest.param(PREFIX + "=" * (TEXT_LENGTH - 4),     id="padding alone"),
    pytest.param(PREFIX + "*" * (TEXT_LENGTH - 4),     id="strangers alone"),
    pytest.param("x" * TEXT_LENGTH,                    id="the right length"),
    pytest.param(TEXT[:-1],                            id="one shorter"),
    pytest.param(TEXT[:-4],                            id="three bytes shorter"),
    pytest.param(TEXT + "A",                           id="one longer"),
    pytest.param(TEXT + "AAAA",                        id="three bytes longer"),
    pytest.param(TEXT + TEXT,                          id="twice"),
    pytest.param("A" * 1_000_000,                      id="a megabyte"),
    pytest.param("\ud800" * TEXT_LENGTH,               id="lone surrogates"),
    pytest.param(PREFIX + "é" * (TEXT_LENGTH - 4),     id="beyond ASCII"),
    pytest.param(PREFIX + "\0" * (TEXT_LENGTH - 4),    id="NUL"),
])  # fmt: skip
def test_garbage_is_no_token(garbage: str) -> None:
    assert decode([KEY], garbage) is None


@given(st.text(max_size=2 * TEXT_LENGTH))
def test_no_text_upsets_the_reader(text: str) -> None:
    assert decode([KEY], text) is None


# --- The MAC -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("accepted", "read"), [
    pytest.param([KEY],                       True,  id="the key that wrote it"),
    pytest.param([KEY, OTHER_KEY],            True,  id="the first of two"),
    pytest.param([OTHER_KEY, KEY],            True,  id="an older one, still accepted"),
    pytest.param([OTHER_KEY, THIRD_KEY, KEY], True,  id="the last of three"),
    pytest.param([OTHER_KEY, THIRD_KEY],      False, id="other keys"),
    pytest.param([],                          False, id="no key at all"),
])  # fmt: skip
def test_a_token_is_read_by_those_who_hold_its_key(accepted: list[bytes], read: bool) -> None:
    assert (decode(accepted, TEXT) == TOKEN) is read


def test_a_mac_of_another_token_is_none() -> None:
    other = encode(KEY, replace(TOKEN, generation=8))
    mac_text = MAC_BYTES // 3 * 4  # characters that hold MAC bytes only

    assert decode([KEY], TEXT[:-mac_text] + other[-mac_text:]) is None


@pytest.mark.parametrize("transport", [0, 3, 255])
def test_a_form_that_this_version_does_not_know_is_no_token(transport: int) -> None:
    """The MAC is right: a newer version wrote it, with the same key, before it was rolled back."""
    newer = encode(KEY, replace(TOKEN, transport=transport))  # type: ignore[arg-type]

    assert decode([KEY], newer) is None


@pytest.mark.parametrize("length", [0, SECRET_BYTES - 1, SECRET_BYTES + 1])
def test_a_secret_of_another_length_is_never_written(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        encode(KEY, replace(TOKEN, secret=bytes(length)))


# --- The successor -----------------------------------------------------------------------------


def test_the_successor_of_a_token_is_fixed() -> None:
    successor = derive_successor(KEY, TOKEN, NONCE)

    assert successor.hex() == "e2bc0257287096c7f4fcc8a522b204077eef40612d3f46e0ab25e3f43cdbf19f"
    assert len(successor) == SECRET_BYTES


@pytest.mark.parametrize(("key", "presented", "nonce"), [
    pytest.param(OTHER_KEY, TOKEN,                                    NONCE,     id="the key"),
    pytest.param(KEY,       replace(TOKEN, family_id=UUID(int=1)),    NONCE,     id="the family"),
    pytest.param(KEY,       replace(TOKEN, generation=8),             NONCE,     id="the number"),
    pytest.param(KEY,       replace(TOKEN, secret=bytes(32)),         NONCE,     id="the secret"),
    pytest.param(KEY,       TOKEN,                                    bytes(16), id="the nonce"),
])  # fmt: skip
def test_another_input_derives_another_successor(
    key: bytes, presented: RefreshToken, nonce: bytes
) -> None:
    assert derive_successor(key, presented, nonce) != derive_successor(KEY, TOKEN, NONCE)


@pytest.mark.parametrize("length", [0, NONCE_BYTES - 1, NONCE_BYTES + 1])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"a nonce has 16 bytes, not {length}"):
        derive_successor(KEY, TOKEN, bytes(length))


# --- What leaves ---------------------------------------------------------------------------------


def test_the_digest_is_sha_256() -> None:
    assert digest(b"abc").hex() == (  # FIPS 180-4's example
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_no_secret_shows() -> None:
    shown = f"{TOKEN!r} {TOKEN}"

    assert str(FAMILY_ID) in shown
    assert "generation=7" in shown
    assert repr(SECRET) not in shown
    assert SECRET.hex() not in shown
    assert "secret" not in shown
