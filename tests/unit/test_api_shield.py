"""The page's security policy, with and without a base map, and how large a body may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.shield import LARGEST_BODY, POLICY, _declares_too_much, policy
from lifeline.errors import ConfigurationError
from lifeline.settings import load_settings
from lifeline.storage.photos import LARGEST

TILES = "https://tiles.example.org:8443/road/{z}/{x}/{y}.png?style=night"


def test_without_a_base_map_no_other_host_stands_in_the_policy() -> None:
    assert policy() == POLICY
    assert "http" not in POLICY
    assert "unsafe" not in POLICY


def test_a_base_map_opens_pictures_of_its_host_and_nothing_else() -> None:
    directives = dict(each.strip().split(" ", 1) for each in policy(TILES).split(";"))
    opened = {name for name, value in directives.items() if "https://tiles.example.org:8443" in value}
    assert opened == {"img-src", "connect-src"}
    assert "/road/" not in policy(TILES)
    assert directives["script-src"] == directives["style-src"] == "'self'"


@given(st.text(min_size=1, max_size=60))
def test_no_setting_can_add_a_directive(text: str) -> None:
    """What stands in a setting becomes part of a header."""
    try:
        settings = load_settings(base_map=text)
    except ConfigurationError:
        return
    assert policy(settings.base_map).count(";") == POLICY.count(";")


@pytest.mark.parametrize(
    "address",
    [
        "tiles/{z}/{x}/{y}.png",
        "https://host/{z}/{x}.png",
        "https://host;script-src *//{z}/{x}/{y}.png",
        "https://a b/{z}/{x}/{y}.png",
        "javascript:{z}/{x}/{y}",
        "https://host/{z}/{x}/{y}.png; script-src *",
    ],
)
def test_an_address_that_is_no_map_of_tiles_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="LIFELINE_BASE_MAP"):
        load_settings(base_map=address)


def declared(path: str, size: int) -> bool:
    return _declares_too_much({"type": "http", "path": path, "headers": [(b"content-length", str(size).encode())]})


def test_a_photo_may_be_larger_than_any_other_body() -> None:
    assert not declared("/field/v1.1.x/photos", LARGEST)
    assert declared("/field/v1.1.x/photos", LARGEST + 1)
    for path in ("/field/v1.1.x", "/field/a/b/photos", "/api/v1/alerts/1/acknowledge", "/field//photos/x"):
        assert declared(path, LARGEST_BODY + 1), path
        assert not declared(path, LARGEST_BODY), path
