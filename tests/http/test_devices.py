"""Device names: for people, so nothing hostile may pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonpass.http.devices import device_name, named_by_hand

SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {SAFARI}"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"

NAMES = [
    ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
    ("Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"),
    (f"{IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox on iOS"),
    (f"{ANDROID} {CHROME} Mobile Safari/537.36", "Chrome on Android"),
    (f"{WINDOWS} {CHROME} Safari/537.36", "Chrome on Windows"),
    (f"{IPHONE} CriOS/142.0.0.0 Mobile/15E148 Safari/604.1", "Chrome on iOS"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", "Chrome on ChromeOS"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.replace('Chrome', 'HeadlessChrome')} Safari/537.36",
     "Chrome on Linux"),
    (f"{IPHONE} Version/18.1 Mobile/15E148 Safari/604.1", "Safari on iOS"),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Version/18.1 Safari/605.1.15",
     "Safari on macOS"),
    (f"{WINDOWS} {CHROME} Safari/537.36 Edg/142.0.0.0", "Edge on Windows"),
    (f"{WINDOWS} {CHROME} Safari/537.36 OPR/125.0.0.0", "Opera on Windows"),
    (f"{ANDROID} AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0"
     " Mobile Safari/537.36", "Samsung Internet on Android"),
    ("curl/8.5.0", "curl"),
    ("python-httpx/0.28.1", "python-httpx"),
    ("okhttp/4.12.0", "okhttp"),
    ("MyApp/1.0 (iOS 18)", "MyApp"),
    ("testclient", "testclient"),
    ("", "Unknown device"),
    ("Mozilla/5.0", "Unknown device"),
    ("x" * 500, "Unknown device"),
    ("(", "Unknown device"),
    ("\x1b[31mred", "Unknown device"),
]  # fmt: skip


@pytest.mark.parametrize(("user_agent", "name"), NAMES)
def test_a_device_is_named_as_its_user_would(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name


@pytest.mark.parametrize(("user_agent", "name"), NAMES)
def test_without_a_library_the_common_ones_have_the_same_name(user_agent: str, name: str) -> None:
    assert named_by_hand(user_agent) == name


def test_without_a_user_agent_the_device_is_unknown() -> None:
    assert device_name(None) == "Unknown device"


def test_the_library_knows_what_the_hand_does_not() -> None:
    user_agent = f"{WINDOWS} {CHROME} Safari/537.36 Vivaldi/7.6"

    assert named_by_hand(user_agent) == "Chrome on Windows"
    assert device_name(user_agent) == "Vivaldi on Windows"


@pytest.mark.parametrize(
    "hostile", ["\r\n", "\x1b[31m", "\u202e", "\u2066", "\x00", "\x85", "\u2028"]
)
@pytest.mark.parametrize("frame", [
    "{}", "curl{}/8.5.0", "{}curl/8.5.0", "Mozilla/5.0 ({}X11; Linux) Firefox/145.0{}",
    "Mozilla/5.0 (Linux; Android 10; {}) My{}App/3.0 Chrome/142.0",
    "My{}App/1.0 CFNetwork/1410.0 Darwin/22.6.0",
])  # fmt: skip
def test_a28_control_and_direction_characters_never_pass(frame: str, hostile: str) -> None:
    assert device_name(frame.replace("{}", hostile)).isprintable()


def test_a_name_is_cut() -> None:
    assert len(device_name("x" * 150 + "/1.0 CFNetwork/1410.0 Darwin/22.6.0")) <= 64


@given(st.text() | st.text(min_size=1).map(lambda text: text * 300))
def test_whatever_it_is_its_name_is_short_and_printable(user_agent: str) -> None:
    name = device_name(user_agent)

    assert 0 < len(name) <= 64
    assert name.isprintable()
    assert name == name.strip()


def test_only_the_beginning_of_a_long_one_is_read() -> None:
    common = f"{WINDOWS} {CHROME} Safari/537.36 "

    assert device_name(f"{common}Edg/142.0") == "Edge on Windows"
    assert device_name(f"{common.ljust(600, 'x')}Edg/142.0") == "Chrome on Windows"
